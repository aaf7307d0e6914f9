//! The three rings: which of our crates may use which. The table is ARCHITECTURE.md's, and a test compares the two.

use crate::place;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Each crate and what it may use, of ours.
const TABLE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("abi", &[]),
    ("config", &["abi"]),
    ("forward", &["wire", "abi"]),
    ("control", &["abi", "config"]),
    ("ipvsadm", &["config"]),
    ("keepalived", &["config"]),
    ("realserver", &[]),
    ("health", &["config"]),
    ("vrrp", &["config"]),
    ("bfd", &["config"]),
    ("dataplane", &["abi", "control"]),
    ("host", &["config", "realserver"]),
    ("probe", &["config", "health", "host"]),
    ("router", &["config", "host"]),
    ("api", &["config"]),
    ("weir", RINGS_0_TO_2),
    ("lab", &[]),
    ("rows", &["abi", "forward"]),
    ("bench", &["lab"]),
    ("parity", &["lab"]),
    ("xtask", &["lab", "parity"]),
    ("ebpf", &["wire", "abi", "forward"]),
    ("ebpf-bench", &[]),
];

const RINGS_0_TO_2: &[&str] = &[
    "wire",
    "abi",
    "forward",
    "config",
    "control",
    "ipvsadm",
    "keepalived",
    "realserver",
    "health",
    "vrrp",
    "bfd",
    "dataplane",
    "host",
    "probe",
    "router",
    "api",
];

/// Libraries that only these of our crates may use.
const SOLE_USERS: &[(&str, &[&str])] = &[("aya", &["dataplane", "bench"])];

/// A dependency of one crate on another, both without their `weir-`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    user: String,
    used: String,
    ours: bool,
    for_tests: bool,
}

/// Looks at both workspaces; an edge that the table does not have is an error.
pub fn check() -> Result<usize> {
    let mut edges = edges_of("Cargo.toml")?;
    edges.extend(edges_of("ebpf/Cargo.toml")?);
    let wrong: Vec<String> = edges.iter().filter_map(objection).collect();
    if !wrong.is_empty() {
        bail!(
            "the rings are broken (ARCHITECTURE.md, xtask/src/rings.rs):\n  {}",
            wrong.join("\n  ")
        );
    }
    Ok(edges.iter().filter(|edge| edge.ours).count())
}

fn edges_of(manifest: &str) -> Result<Vec<Edge>> {
    let said = crate::step::ask(
        place::cargo()
            .args([
                "metadata",
                "--format-version=1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(place::root().join(manifest)),
    );
    let metadata: Value = serde_json::from_str(
        &said.with_context(|| format!("cargo metadata fails on {manifest}"))?,
    )?;
    Ok(edges(&metadata))
}

fn edges(metadata: &Value) -> Vec<Edge> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut edges = Vec::new();
    for package in list(metadata, "packages") {
        for dependency in list(&package, "dependencies") {
            edges.push(Edge {
                user: short(&package["name"]),
                used: short(&dependency["name"]),
                // Only what lives in this repository has a path.
                ours: dependency["path"].is_string(),
                for_tests: dependency["kind"] == "dev",
            });
        }
    }
    edges
}

fn objection(edge: &Edge) -> Option<String> {
    let Edge {
        user,
        used,
        ours,
        for_tests,
    } = edge;
    if let Some((_, users)) = SOLE_USERS
        .iter()
        .find(|(library, users)| library == used && !users.contains(&user.as_str()))
    {
        return Some(format!(
            "{user} uses {used}, which only {} may",
            users.join(" and ")
        ));
    }
    if !ours {
        return None;
    }
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == user) else {
        return Some(format!("{user} is not in the table"));
    };
    // Tests may look inwards past the table, and at what they are made of, but never outwards.
    let inward = *for_tests && ring(used) <= ring(user);
    (!allowed.contains(&used.as_str()) && !inward)
        .then(|| format!("{user} uses {used}, which the table does not allow"))
}

fn ring(name: &str) -> u8 {
    match name {
        // `rows` is what tests of all rings are made of.
        "wire" | "abi" | "forward" | "rows" => 0,
        "config" | "control" | "ipvsadm" | "realserver" | "health" | "vrrp" | "bfd" => 1,
        "dataplane" | "host" | "router" | "api" | "probe" => 2,
        // Beside the rings, and the binary on top of them.
        _ => 3,
    }
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("weir-").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Edge, RINGS_0_TO_2, TABLE, check, edges, objection};
    use serde_json::json;

    fn edge(user: &str, used: &str, kind: Option<&str>, path: Option<&str>) -> Edge {
        let metadata = json!({ "packages": [
            { "name": format!("weir-{user}"), "dependencies": [{ "name": used, "kind": kind, "path": path }] }
        ]});
        edges(&metadata).remove(0)
    }

    #[test]
    fn an_edge_must_be_in_the_table() {
        let path = Some("/somewhere");
        for (user, used, kind, fine) in [
            ("forward", "weir-wire", None, true),
            ("forward", "weir-control", None, false),
            ("control", "weir-dataplane", None, false),
            ("control", "weir-dataplane", Some("build"), false),
            ("weir", "weir-api", None, true),
            ("weir", "weir-lab", None, false),
            ("dataplane", "weir-forward", None, false),
            ("dataplane", "weir-forward", Some("dev"), true),
            ("forward", "weir-dataplane", Some("dev"), false),
            ("newcomer", "weir-abi", None, false),
        ] {
            let objection = objection(&edge(user, used, kind, path));
            assert_eq!(
                objection.is_none(),
                fine,
                "{user} -> {used} ({kind:?}): {objection:?}"
            );
        }
    }

    #[test]
    fn only_dataplane_and_bench_know_aya() {
        assert!(objection(&edge("dataplane", "aya", None, None)).is_none());
        assert!(objection(&edge("weir", "aya", None, None)).is_some());
    }

    #[test]
    fn our_own_edges_are_in_the_table() {
        check().expect("no edge that is not allowed");
    }

    #[test]
    fn the_table_is_the_one_in_the_document() {
        let document = include_str!("../../ARCHITECTURE.md");
        let rows = document
            .lines()
            .skip_while(|line| !line.starts_with("| crate | may use"))
            .skip(2);
        let mut read = 0;
        for row in rows.take_while(|line| line.starts_with('|')) {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let names = cells.next().expect("crates");
            let uses = match cells.next().expect("what they use") {
                "nothing" => vec![],
                "all of rings 0 to 2" => RINGS_0_TO_2.to_vec(),
                some => some.split(", ").collect(),
            };
            for name in names.split(", ") {
                let (_, allowed) = TABLE.iter().find(|(ours, _)| *ours == name).expect(name);
                assert_eq!(*allowed, uses, "{name}");
                read += 1;
            }
        }
        assert!(read >= 12, "the document's table was not found");
    }
}
