//! The outside cases of `interop/cases.toml`, one test each, and the differential run against gun.js.
//!
//! The tests are made from the list, so that none is forgotten: a disabled case counts as ignored.
//! Without Node.js and the gun package all that need them count as ignored too, or fail where
//! `OIP_INTEROP=required` is set.

mod catalogue;
mod relays;
mod script;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use testkit::Interop;
use tokio::runtime::Runtime;

use crate::catalogue::{Case, Client, Status};
use crate::relays::{Relays, Shared};

/// Operations of the differential run where `OIP_DIFFERENTIAL_OPS` does not say.
const OPERATIONS: u64 = 100_000;
const OPERATIONS_VARIABLE: &str = "OIP_DIFFERENTIAL_OPS";
/// The seed of the differential run where `OIP_DIFFERENTIAL_SEED` does not say.
const SEED: &str = "conformance";
const SEED_VARIABLE: &str = "OIP_DIFFERENTIAL_SEED";
/// Longest wait for the differential run per 1,000 operations, and at least; both far above what a
/// loaded machine needs.
const DIFFERENTIAL_MAX_PER_THOUSAND: Duration = Duration::from_secs(6);
const DIFFERENTIAL_MAX: Duration = Duration::from_secs(120);

/// What the tests share.
struct Stage {
    runtime: Runtime,
    shared: Shared,
    interop: Option<Interop>,
    /// What the clients ran in: a real browser or not.
    places: Mutex<BTreeSet<String>>,
}

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let catalogue = catalogue::read()?;
    let stage = Arc::new(Stage {
        runtime: Runtime::new()?,
        shared: Shared::default(),
        interop: testkit::interop(),
        places: Mutex::default(),
    });
    let mut trials = vec![
        list_trial(),
        scripted("list::every_script_is_listed", &stage, scripts),
        scripted(
            "differential::same_operations_same_graph",
            &stage,
            differential,
        ),
    ];
    for case in &catalogue.cases {
        for client in &case.clients {
            trials.push(case_trial(case, *client, &stage));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for place in stage
        .places
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        println!("{place}");
    }
    // Ends the shared relay, which `exit` would leave behind.
    drop(stage);
    conclusion.exit();
}

/// The list itself needs no gun.js.
fn list_trial() -> Trial {
    Trial::test(
        "list::disabled_cases_have_reasons_and_are_documented",
        || {
            let list = || -> Result<Vec<String>> {
                let catalogue = catalogue::read()?;
                let mut faults = catalogue.faults();
                faults.extend(catalogue.undocumented(&catalogue::document()?));
                Ok(faults)
            };
            match list() {
                Ok(faults) if faults.is_empty() => Ok(()),
                Ok(faults) => Err(Failed::from(faults.join("\n"))),
                Err(error) => Err(Failed::from(format!("{error:#}"))),
            }
        },
    )
}

/// A test that needs gun.js and is no case of the list.
fn scripted(
    name: &str,
    stage: &Arc<Stage>,
    run: impl FnOnce(&Stage, &Interop) -> Result<()> + Send + 'static,
) -> Trial {
    let ignored = stage.interop.is_none();
    let stage = Arc::clone(stage);
    Trial::test(name, move || {
        let Some(interop) = &stage.interop else {
            return Err(Failed::from("gun.js is not here"));
        };
        run(&stage, interop).map_err(|error| Failed::from(format!("{error:#}")))
    })
    .with_ignored_flag(ignored)
}

fn scripts(stage: &Stage, interop: &Interop) -> Result<()> {
    let written = stage.runtime.block_on(script::ids(interop))?;
    let differences = catalogue::read()?.differs_from(&written);
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

fn case_trial(case: &Case, client: Client, stage: &Arc<Stage>) -> Trial {
    let name = format!("{}::{}", client.name(), case.id.replace('-', "_"));
    let disabled = case.status == Status::Disabled;
    let (id, relay) = (case.id.clone(), case.relay);
    let trial = scripted(&name, stage, move |stage, interop| {
        stage.runtime.block_on(async {
            let mut relays = Relays::start(interop, relay, &stage.shared).await?;
            let place = script::run_case(interop, client.name(), &id, &mut relays).await?;
            let mut places = stage.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.insert(format!("{} cases ran in {place}", client.name()));
            Ok(())
        })
    });
    let ignored = disabled || stage.interop.is_none();
    trial.with_ignored_flag(ignored)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The same operations, fed to gun.js and to us, end in the same graph.
fn differential(stage: &Stage, interop: &Interop) -> Result<()> {
    let operations = match variable(OPERATIONS_VARIABLE) {
        Some(text) => text.parse()?,
        None => OPERATIONS,
    };
    let seed = variable(SEED_VARIABLE).unwrap_or_else(|| SEED.to_owned());
    let thousands = u32::try_from(operations / 1_000)?;
    let deadline = DIFFERENTIAL_MAX.max(DIFFERENTIAL_MAX_PER_THOUSAND * thousands);
    stage.runtime.block_on(async {
        let node = relays::open_node().await?;
        let run = script::run_differential(interop, node.relay(), operations, &seed, deadline);
        println!("differential run: {}", run.await?);
        Ok(())
    })
}
