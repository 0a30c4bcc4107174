//! The `OpenMetrics` text against the rules of the standard, version 1.0, by a small strict reader.

use std::collections::{BTreeMap, HashSet};

use paceline::report::Export;

use crate::sample_gate::{HOSTILE, large, sample, unfit};

type Labels = Vec<(String, String)>;

/// A sample's name, labels and value, or what is wrong with it.
fn sample_of(line: &str) -> Result<(String, Labels, f64), String> {
    let (name, mut rest) = line.split_once('{').ok_or("no labels")?;
    let word = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !word(name) {
        return Err(format!("the name {name:?}"));
    }
    let mut labels = Labels::new();
    loop {
        let (label, value) = rest.split_once("=\"").ok_or("no value")?;
        if !word(label) || labels.iter().any(|(of, _)| of == label) {
            return Err(format!("the label {label:?}"));
        }
        let (mut text, mut end) = (String::new(), None);
        let mut chars = value.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => text.push(c),
                    other => return Err(format!("the escape {other:?}")),
                },
                c => text.push(c),
            }
        }
        labels.push((label.to_owned(), text));
        rest = &value[end.ok_or("no closing quote")?..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").ok_or("no space before the number")?;
    let digits = value.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let value = value.parse::<f64>().map_err(|error| error.to_string())?;
    if !digits {
        return Err("not a plain number".into());
    }
    Ok((name.to_owned(), labels, value))
}

/// All samples by family, or what is wrong with the text.
fn read(text: &str) -> Result<BTreeMap<String, Vec<(Labels, f64)>>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
    let mut families: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
    let mut seen = HashSet::new();
    let (mut name, mut kind, mut told) = (String::new(), String::new(), HashSet::new());
    for line in body.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let mut parts = about.splitn(3, ' ');
            let (what, of, value) = (parts.next(), parts.next(), parts.next());
            let (what, of) = (what.ok_or(line)?, of.ok_or(line)?);
            let value = value.ok_or(line)?;
            if what == "TYPE" {
                if families.insert(of.to_owned(), vec![]).is_some() {
                    return Err(format!("the family {of} begins twice"));
                }
                (name, kind) = (of.to_owned(), value.to_owned());
                told.clear();
            }
            let fresh = told.insert(what.to_owned());
            if of != name || !fresh || !families[&name].is_empty() {
                return Err(format!("out of place: {line}"));
            }
            match what {
                "TYPE" if ["gauge", "stateset"].contains(&value) => {}
                "UNIT" if kind == "gauge" && of.ends_with(&format!("_{value}")) => {}
                "HELP" => {}
                _ => return Err(format!("not allowed: {line}")),
            }
            continue;
        }
        let (of, labels, value) = sample_of(line).map_err(|error| format!("{error}: {line}"))?;
        if of != name {
            return Err(format!("a sample outside of its family: {line}"));
        }
        if kind == "stateset"
            && (labels.iter().filter(|(label, _)| *label == name).count() != 1
                || (value.abs() > 0.0 && (value - 1.0).abs() > 0.0))
        {
            return Err(format!("not a state: {line}"));
        }
        if !seen.insert((of.clone(), labels.clone())) {
            return Err(format!("twice: {line}"));
        }
        families.get_mut(&of).ok_or(line)?.push((labels, value));
    }
    Ok(families)
}

fn value(of: &[(Labels, f64)], wanted: &[(&str, &str)]) -> f64 {
    let has = |labels: &Labels| {
        wanted.iter().all(|(name, value)| labels.iter().any(|(n, v)| n == name && v == value))
    };
    of.iter().find(|(labels, _)| has(labels)).unwrap_or_else(|| panic!("{wanted:?}")).1
}

#[test]
fn it_is_what_the_standard_says_and_holds_what_the_gate_found() {
    for gate in [sample(), unfit(), large(300)] {
        read(&Export::OpenMetrics.render(&gate)).unwrap();
    }
    let families = read(&Export::OpenMetrics.render(&sample())).unwrap();
    let echo = ("cell", "echo/tokio/10");
    let base = value(&families["paceline_gate_time_per_job_seconds"], &[echo, ("side", "base")]);
    assert!((base - 2e-6).abs() < 1e-12, "{base}");
    let p50 = [echo, ("metric", "p50")];
    assert!((value(&families["paceline_gate_change_ratio"], &p50) - 0.001).abs() < 1e-12);
    let state = ("paceline_gate_cell_verdict", "regressed");
    let of = &families["paceline_gate_cell_verdict"];
    assert!(value(of, &[echo, ("metric", "throughput"), state]) > 0.5);
    assert!(value(of, &[echo, ("metric", "p50"), state]) < 0.5);
    let overall = [("paceline_gate_verdict", "regressed")];
    assert!(value(&families["paceline_gate_verdict"], &overall) > 0.5);
    // Quotes and backslashes come back as they were.
    let named = |labels: &Labels| labels.iter().any(|(_, name)| name.contains("\"q\" \\| ]]>"));
    assert!(HOSTILE.contains("\"q\" \\| ]]>") && of.iter().any(|(labels, _)| named(labels)));
}

#[test]
fn the_reader_takes_nothing_else() {
    let good = Export::OpenMetrics.render(&sample());
    for bad in [
        good.replace("# EOF\n", ""),
        good.replace("_seconds seconds", "_seconds ms"),
        good.replacen("side=\"base\"} ", "side=\"base\"}  ", 1),
        good.replacen("cell=\"", "cell=\"\\x", 1),
        good.replacen("side=\"base\"} 0", "side=\"base\"} NaN0", 1),
        good.replacen("# HELP paceline_gate_rounds", "# HELP paceline_gate_ronds", 1),
    ] {
        assert!(bad != good && read(&bad).is_err(), "{bad}");
    }
}
