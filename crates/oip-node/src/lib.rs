//! The OIP node: publish, registry, discovery, the sync pipeline and health, on top of store, index and network.
