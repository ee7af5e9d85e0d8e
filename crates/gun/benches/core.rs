//! How many puts per second the protocol core takes on one thread, without network and
//! store: frame text to messages, through the mesh, acks and pushes to frame text.
//!
//! `cargo bench -p gun`

use std::hint::black_box;
use std::time::Instant;

use gun::mesh::{Direction, Input, Mesh, MeshConfig, Output, PeerId, StoreOutcome};
use gun::wire::{FramePacker, Limits, parse_frame};

const PUTS: usize = 200_000;
const NOW_MS: u64 = 1_795_400_000_000;

/// The message of the published figures: one node, 4 keys, about 978 bytes.
fn frame(number: usize) -> String {
    let text = "lorem ipsum dolor sit amet ".repeat(15);
    let soul = format!("0123456789ab:record{:06}", number % 10_000);
    let state = format!(
        "{}.{:03}",
        NOW_MS - 1_000_000 + number as u64,
        number % 1_000
    );
    format!(
        r##"{{"#":"{number:09}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{"data":{state},"meta":{state},"name":{state},"oip":{state}}}}},"data":"{text}","meta":{{"#":"{soul}:meta"}},"name":"{}","oip":"{}"}}}}}}"##,
        &text[..140],
        &text[..160],
    )
}

fn main() {
    let frames: Vec<String> = (0..PUTS).map(frame).collect();
    println!(
        "{PUTS} puts of {} bytes, one thread, one subscriber of each 10th",
        frames[0].len()
    );
    for run in 1..=5 {
        let start = Instant::now();
        let bytes = run_once(&frames);
        let seconds = start.elapsed().as_secs_f64();
        let rate = PUTS as f64 / seconds;
        let each_us = 1e6 * seconds / PUTS as f64;
        println!("run {run}: {rate:.0} puts/s, {each_us:.2} us each, {bytes} bytes out");
    }
    let start = Instant::now();
    for frame in &frames {
        black_box(parse_frame(frame, &Limits::ACCEPTED));
    }
    println!(
        "parsing alone: {:.2} us each",
        1e6 * start.elapsed().as_secs_f64() / PUTS as f64
    );
}

fn run_once(frames: &[String]) -> usize {
    let mut bits = 0_u64;
    let random = move || {
        bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let mut mesh = Mesh::new(MeshConfig::new("benchmark"), Box::new(random));
    let (writer, reader) = (PeerId(1), PeerId(2));
    let mut out = Vec::new();
    for peer in [writer, reader] {
        mesh.handle(
            NOW_MS,
            Input::Opened {
                peer,
                direction: Direction::Accepted,
            },
            &mut out,
        );
    }
    for number in (0..10_000).step_by(10) {
        let get =
            format!(r##"{{"#":"g{number:08}","get":{{"#":"0123456789ab:record{number:06}"}}}}"##);
        hear(&mut mesh, reader, &get, &mut out);
    }
    let (mut to_writer, mut to_reader) = (FramePacker::new(), FramePacker::new());
    let mut bytes = 0;
    for frame in frames {
        out.clear();
        hear(&mut mesh, writer, frame, &mut out);
        // Stands in for the store: everything wins at once.
        for output in std::mem::take(&mut out) {
            let Output::Store {
                ticket,
                peer,
                origin,
                graph,
            } = output
            else {
                continue;
            };
            let outcome = StoreOutcome::default();
            mesh.handle(NOW_MS, Input::Stored { ticket, outcome }, &mut out);
            let origin = origin.map(|id| (peer, id));
            mesh.handle(NOW_MS, Input::Changed { graph, origin }, &mut out);
        }
        for output in &out {
            let Output::Send { peer, message, .. } = output else {
                continue;
            };
            let packer = if *peer == writer {
                &mut to_writer
            } else {
                &mut to_reader
            };
            bytes += packer.push(message).map_or(0, |frame| frame.len());
        }
    }
    for mut packer in [to_writer, to_reader] {
        bytes += packer.flush().map_or(0, |frame| frame.len());
    }
    bytes
}

fn hear(mesh: &mut Mesh, peer: PeerId, frame: &str, out: &mut Vec<Output>) {
    for parsed in parse_frame(frame, &Limits::ACCEPTED) {
        let input = match parsed {
            Ok(message) => Input::Heard { peer, message },
            Err(refused) => Input::Refused { peer, refused },
        };
        mesh.handle(NOW_MS, input, out);
    }
}
