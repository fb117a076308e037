//! One mesh, and as many nodes as one likes.

use crate::settled::Settled;
use crate::usage::{cpu, memory};
use crate::{Outcome, figure, millis};

/// So that what they take is more than what comes and goes.
const MESHES: u64 = 10;

pub(crate) fn measure(nodes: usize) -> Outcome<()> {
    let (before, started) = (memory()?, cpu());
    let mut first = Settled::new(nodes);
    let formed = cpu();
    let others: Vec<_> = (1..MESHES).map(|_| Settled::new(nodes)).collect();
    let taken = (memory()? - before) / MESHES;
    drop(others);
    let said: Vec<_> = (0..nodes).map(|node| first.audited(node)).collect();
    first.send_audits();
    let told = cpu();
    said.into_iter().for_each(|answer| first.handle(answer));
    let audited = cpu();
    let counts = first.mesh.pair_counts();
    let counted = cpu();
    if counts.linked != counts.expected() {
        return Err(format!("{nodes} nodes are not one mesh").into());
    }
    let of_one = |what: &str| format!("one_mesh_of_{nodes}_{what}");
    figure(&of_one("forming_cpu"), millis(formed - started), "ms");
    figure(&of_one("auditing_all_cpu"), millis(audited - told), "ms");
    figure(
        &of_one("counting_pairs_cpu"),
        millis(counted - audited),
        "ms",
    );
    figure(&of_one("memory"), taken, "KiB");
    Ok(())
}
