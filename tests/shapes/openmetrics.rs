//! The rules of `OpenMetrics` text, version 1.0: a small strict reader.

use std::collections::{BTreeMap, HashSet};

pub(crate) type Labels = Vec<(String, String)>;

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
pub(crate) fn read(text: &str) -> Result<BTreeMap<String, Vec<(Labels, f64)>>, String> {
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

pub(crate) fn value(of: &[(Labels, f64)], wanted: &[(&str, &str)]) -> f64 {
    let has = |labels: &Labels| {
        wanted.iter().all(|(name, value)| labels.iter().any(|(n, v)| n == name && v == value))
    };
    of.iter().find(|(labels, _)| has(labels)).unwrap_or_else(|| panic!("{wanted:?}")).1
}
