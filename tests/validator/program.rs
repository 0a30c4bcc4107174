//! Reads a JSON Schema and a document from standard input, and prints the first errors of the document, a line each.

use std::io;

use serde_json::{Deserializer, Value};

fn main() {
    let mut read = Deserializer::from_reader(io::stdin().lock()).into_iter::<Value>();
    let mut next = || read.next().expect("a schema and a document").expect("JSON");
    let (schema, document) = (next(), next());
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    for error in validator.iter_errors(&document).take(5) {
        println!("{error}");
    }
}
