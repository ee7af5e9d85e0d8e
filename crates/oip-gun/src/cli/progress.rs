//! Bars for long work.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use oip_node::migrate::backup::Progress;

use super::output::Output;

/// A bar that counts records.
pub(super) const RECORDS: &str = "{wide_bar} {pos}/{len} records  {eta} left";
/// A bar that counts bytes.
pub(super) const BYTES: &str = "{wide_bar} {bytes}/{total_bytes}  {eta} left";
/// Bytes of which nobody knows how many there will be.
pub(super) const BYTES_SO_FAR: &str = "{spinner} {bytes}  {bytes_per_sec}";

/// A bar where a person watches, else none.
pub(super) fn bar(template: &str, output: Output) -> ProgressBar {
    if !std::io::stderr().is_terminal() || output == Output::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    // The templates are constants; were one faulty, the default bar would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Moves a bar of records.
pub(super) fn moving(bar: &ProgressBar) -> impl FnMut(Progress) + Send + 'static + use<> {
    let bar = bar.clone();
    move |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
}
