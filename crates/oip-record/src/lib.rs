//! OIP records, pure: model, souls and DIDs, array codec, layouts, validation, signatures, order.
