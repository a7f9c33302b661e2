//! The text of the libraries' registries in the form that Prometheus reads, without what names a peer.
//!
//! They write OpenMetrics, where a counter's family has a shorter name than its samples; Prometheus takes such a sample
//! for one of another family, which nobody has described.

use std::collections::BTreeMap;

/// Labels whose values name peers: a series for each of them would never end.
const OF_PEERS: [&str; 1] = ["peer"];

/// One family of metrics.
#[derive(Default)]
struct Family<'a> {
    help: &'a str,
    kind: &'a str,
    samples: Vec<&'a str>,
}

/// The same metrics for Prometheus, their names after a prefix.
pub fn for_prometheus(text: &str, prefix: &str) -> String {
    let mut families: Vec<(&str, Family<'_>)> = Vec::new();
    // A family that is described twice is said once: a second description would be an error.
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let Some(words) = line.strip_prefix("# ") else {
            if let Some((_, family)) = open.and_then(|place: usize| families.get_mut(place)) {
                family.samples.push(line);
            }
            continue;
        };
        let mut words = words.splitn(3, ' ');
        let (Some(what), Some(name)) = (words.next(), words.next()) else { continue };
        if !matches!(what, "HELP" | "TYPE") {
            continue;
        }
        let place = *places.entry(name).or_insert_with(|| {
            families.push((name, Family::default()));
            families.len() - 1
        });
        open = Some(place);
        let rest = words.next().unwrap_or_default();
        match what {
            "HELP" => families[place].1.help = rest,
            _ => families[place].1.kind = rest,
        }
    }
    let mut said = String::new();
    families.iter().for_each(|(name, family)| family.write(name, prefix, &mut said));
    said
}

impl Family<'_> {
    fn write(&self, name: &str, prefix: &str, said: &mut String) {
        let samples: Vec<&str> = self.samples.iter().copied().filter(|sample| !names_a_peer(sample)).collect();
        if samples.is_empty() {
            return;
        }
        let total = if self.kind == "counter" { "_total" } else { "" };
        let kind = match self.kind {
            kind @ ("counter" | "gauge" | "histogram" | "summary") => kind,
            "info" | "stateset" => "gauge",
            _ => "untyped",
        };
        let help = if self.help.trim().is_empty() { "What a library measures." } else { self.help };
        let full = |name: &str| format!("{prefix}{}", plain(name));
        said.push_str(&format!("# HELP {}{total} {help}\n# TYPE {}{total} {kind}\n", full(name), full(name)));
        for sample in samples {
            // What stands behind a number sign is an example of what was counted.
            let sample = sample.split_once(" # ").map_or(sample, |(sample, _)| sample);
            let end = sample.find(['{', ' ']).unwrap_or(sample.len());
            said.push_str(&format!("{}{}\n", full(&sample[..end]), &sample[end..]));
        }
    }
}

/// A name without what the linter refuses: two underscores after each other come from empty scopes.
fn plain(name: &str) -> String {
    name.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

fn names_a_peer(sample: &str) -> bool {
    let Some(labels) = sample.split_once('{').map(|(_, labels)| labels) else { return false };
    OF_PEERS.iter().any(|label| labels.starts_with(&format!("{label}=\"")) || labels.contains(&format!(",{label}=\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(for_prometheus(text, "x_"), expected);
    }

    #[test]
    fn a_counter_is_described_by_the_name_of_its_samples() {
        check(
            "# HELP dials Dials, by outcome.\n# TYPE dials counter\ndials_total{outcome=\"ok\"} 3\n# EOF\n",
            "# HELP x_dials_total Dials, by outcome.\n# TYPE x_dials_total counter\nx_dials_total{outcome=\"ok\"} 3\n",
        );
    }

    #[test]
    fn what_names_a_peer_is_left_out_and_with_it_its_family_where_nothing_stays() {
        check(
            "# HELP a A.\n# TYPE a gauge\na{peer=\"12\"} 1\n# HELP b B.\n# TYPE b gauge\nb{k=\"v\",peer=\"1\"} 1\nb{k=\"v\"} 2\n",
            "# HELP x_b B.\n# TYPE x_b gauge\nx_b{k=\"v\"} 2\n",
        );
    }

    #[test]
    fn examples_units_and_unknown_kinds_are_translated() {
        check(
            "# HELP t T.\n# TYPE t unknown\n# UNIT t seconds\nt 4 # {trace=\"1\"} 3\n",
            "# HELP x_t T.\n# TYPE x_t untyped\nx_t 4\n",
        );
        check(
            "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_sum 1\nh_count 1\n",
            "# HELP x_h What a library measures.\n# TYPE x_h histogram\nx_h_bucket{le=\"1.0\"} 1\nx_h_sum 1\nx_h_count 1\n",
        );
    }

    #[test]
    fn a_family_is_said_once() {
        check(
            "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\n# HELP a A.\n# TYPE a gauge\na 2\n",
            "# HELP x_a A.\n# TYPE x_a gauge\nx_a 1\nx_a 2\n# HELP x_b B.\n# TYPE x_b gauge\nx_b 1\n",
        );
    }
}
