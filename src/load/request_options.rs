//! The requests to a running server: method, header fields, body and URLs.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Url;
use crate::{machine::hex, output::count};
use paceline_core::{
    file,
    generator::{Request, check_method},
};

/// The greatest size of a body, in bytes.
const MOST_BODY: u64 = 16 << 20;
/// The greatest size of a file of URLs, in bytes.
const MOST_LIST: u64 = 1 << 20;
/// The most URLs: each has its own histogram.
const MOST_URLS: usize = 1_000;
const MOST_WEIGHT: u32 = 1_000_000;

/// The options by which requests differ from a plain GET of one URL.
#[derive(Default)]
pub struct RequestOptions {
    /// The method; by default GET, or POST with a body.
    pub method: Option<String>,
    /// Header fields, in the order of the command line.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Several URLs instead of one.
    pub urls: Option<Urls>,
}

/// URLs of one server, from a file.
pub struct Urls {
    /// Name of the file.
    pub name: String,
    list: Vec<Line>,
}

struct Line {
    weight: u32,
    url: Url,
    method: Option<String>,
}

/// Returns what tells bodies and lists of URLs apart in records, which do not have their contents.
pub(super) fn short_hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content)[..8])
}

impl Urls {
    /// Returns the hash of what is requested, and how often.
    pub(super) fn hash(&self) -> String {
        let line = |line: &Line| {
            format!("{} {} {}\n", line.weight, line.method.as_deref().unwrap_or(""), line.url.path)
        };
        short_hash(self.list.iter().map(line).collect::<String>().as_bytes())
    }
}

impl RequestOptions {
    /// Returns whether no option is set.
    pub(super) fn is_plain(&self) -> bool {
        let RequestOptions { method, headers, body, urls } = self;
        method.is_none() && headers.is_empty() && body.is_none() && urls.is_none()
    }

    /// Returns the requests and their weights; without a file of URLs, one request and no weight.
    pub(super) fn requests(&self, url: &Url) -> (Vec<Request>, Vec<u32>) {
        let Some(urls) = &self.urls else {
            let with_body = self.body.is_some();
            let method = self.method().to_owned();
            return (vec![Request { method, with_body, ..Request::get(&url.path, None) }], vec![]);
        };
        let one = |line: &Line| {
            let method = line.method.as_deref().unwrap_or(self.method());
            // A line with GET or HEAD has no body, even if the other lines have one.
            let without = line.method.is_some() && ["GET", "HEAD"].contains(&method);
            let with_body = self.body.is_some() && !without;
            Request { method: method.into(), with_body, ..Request::get(&line.url.path, None) }
        };
        (urls.list.iter().map(one).collect(), urls.list.iter().map(|line| line.weight).collect())
    }

    fn method(&self) -> &str {
        self.method.as_deref().unwrap_or(if self.body.is_some() { "POST" } else { "GET" })
    }
}

impl Urls {
    /// Reads a file with a URL on each line, and optionally its weight and its method, in any order. Empty lines and lines
    /// that begin with `#` are ignored.
    ///
    /// # Errors
    ///
    /// Returns a sentence with the number of the wrong line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let fault = |why| format!("{}: {why}", path.display());
        let text = file::read_text(path, MOST_LIST).map_err(fault)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Urls { name, list: parse(&text).map_err(fault)? })
    }

    /// Returns the first URL. All are on the same server.
    #[must_use]
    pub fn first(&self) -> &Url {
        &self.list[0].url
    }
}

/// Reads a body from a file.
///
/// # Errors
///
/// Returns a sentence if the file cannot be read, or is too long.
pub fn read_body(path: &Path) -> Result<Vec<u8>, String> {
    file::read(path, MOST_BODY).map_err(|why| format!("{}: {why}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut list: Vec<Line> = Vec::new();
    // Editors on Windows put a byte order mark first.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = read_line(line).map_err(|why| format!("line {number}: {why}"))?;
        if let Some(first) = list.first()
            && first.url.authority() != line.url.authority()
        {
            let (first, other) = (first.url.authority(), line.url.authority());
            return Err(format!(
                "line {number}: {other} is another server than {first} of the first URL: load one server at a time"
            ));
        }
        list.push(line);
    }
    match list.len() {
        0 => {
            Err("it has no URL: give one on each line, such as `3 http://127.0.0.1:8080/a`".into())
        }
        many if many > MOST_URLS => {
            Err(format!("it has {} URLs: give at most {}", count(many), count(MOST_URLS)))
        }
        _ => Ok(list),
    }
}

fn read_line(line: &str) -> Result<Line, String> {
    let (mut weight, mut url, mut method) = (None, None, None);
    let twice =
        |what: &str, word: &str| format!("{word:?} is a second {what}: give one URL on each line");
    for word in line.split_whitespace() {
        if let Some(found) = Url::parse(word) {
            if url.replace(found?).is_some() {
                return Err(twice("URL", word));
            }
        } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = word.parse().ok().filter(|number| (1..=MOST_WEIGHT).contains(number));
            let number = number.ok_or_else(|| {
                format!(
                    "a weight is a number from 1 to {}, not {word}",
                    count(MOST_WEIGHT as usize)
                )
            })?;
            if weight.replace(number).is_some() {
                return Err(twice("weight", word));
            }
        } else if let Some(meant) = Url::meant(word) {
            return Err(format!("{word:?} is not a URL: give {meant}"));
        } else {
            check_method(word).map_err(|why| {
                format!("{why}; a line is a URL, with a weight and a method beside it")
            })?;
            if method.replace(word.to_owned()).is_some() {
                return Err(twice("method", word));
            }
        }
    }
    let url = url.ok_or("it has no URL, such as http://127.0.0.1:8080/a")?;
    Ok(Line { weight: weight.unwrap_or(1), url, method })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u32, String, Option<String>)>, String> {
        let of = |line: Line| (line.weight, line.url.path, line.method);
        Ok(parse(text)?.into_iter().map(of).collect())
    }

    #[test]
    fn a_line_is_a_url_with_a_weight_and_a_method_in_any_order() {
        let text = "\u{feff}# three\n\n3 http://localhost:81/a\r\n  http://localhost:81/b?c=1  \n\
                    GET http://localhost:81/c\n2 http://localhost:81/d POST\nPUT\t4 http://localhost:81/\n";
        let found = read(text).unwrap();
        let of = |weight, path: &str, method: Option<&str>| {
            (weight, path.to_owned(), method.map(String::from))
        };
        assert_eq!(
            found,
            [
                of(3, "/a", None),
                of(1, "/b?c=1", None),
                of(1, "/c", Some("GET")),
                of(2, "/d", Some("POST")),
                of(4, "/", Some("PUT")),
            ]
        );
    }

    #[test]
    fn what_is_no_list_of_urls_is_said_with_its_line() {
        const A: &str = "http://localhost:81/a";
        for (text, why) in [
            (String::new(), "no URL"),
            ("# http://localhost/\n".into(), "no URL"),
            (format!("{A}\n5\n"), "line 2: it has no URL"),
            (format!("{A} {A}"), "line 1: \"http://localhost:81/a\" is a second URL"),
            (format!("1 2 {A}"), "second weight"),
            (format!("GET {A} POST"), "second method"),
            (format!("0 {A}"), "from 1 to 1 000 000, not 0"),
            (format!("1000001 {A}"), "from 1 to 1 000 000"),
            (format!("99999999999999999999 {A}"), "from 1 to 1 000 000"),
            (format!("-1 {A}\n{A}"), "line 1: \"-1\" is not a method"),
            (format!("{A}\nContent-Type: text/plain"), "line 2: \"Content-Type:\" is not a method"),
            (format!("{A} POST a=b"), "\"a=b\" is not a method"),
            (
                format!("{A}\nhttp://localhost:82/a"),
                "line 2: localhost:82 is another server than localhost:81",
            ),
            ("http://example.com/".into(), "line 1: \"example.com\" is not a loopback address"),
            (format!("CONNECT {A}"), "tunnel"),
            (format!("{A}\n").repeat(1_001), "at most 1 000"),
        ] {
            let said = read(&text).unwrap_err();
            assert!(said.contains(why), "{text:.80?}: {said}");
        }
    }

    #[test]
    fn the_body_goes_with_each_request_but_those_whose_line_says_get_or_head() {
        let list = "http://localhost/a\nhttp://localhost/b GET\nhttp://localhost/c PUT\nHEAD http://localhost/d";
        let urls = |text| Some(Urls { name: String::new(), list: parse(text).unwrap() });
        let found = |method: Option<&str>, body: Option<&str>, list| {
            let (method, body) =
                (method.map(String::from), body.map(|body| body.as_bytes().to_vec()));
            let request_options =
                RequestOptions { method, body, urls: list, ..RequestOptions::default() };
            let url = Url::parse("http://localhost/").unwrap().unwrap();
            let (requests, weights) = request_options.requests(&url);
            let of =
                |one: Request| format!("{}{}", one.method, if one.with_body { "+" } else { "" });
            (requests.into_iter().map(of).collect::<Vec<_>>().join(" "), weights.len())
        };
        for (method, body, list, expected) in [
            (None, None, None, ("GET", 0)),
            (None, Some(""), None, ("POST+", 0)),
            (Some("GET"), Some("x"), None, ("GET+", 0)),
            (Some("PUT"), None, None, ("PUT", 0)),
            (None, None, urls(list), ("GET GET PUT HEAD", 4)),
            (None, Some("x"), urls(list), ("POST+ GET PUT+ HEAD", 4)),
            (Some("PATCH"), Some("x"), urls(list), ("PATCH+ GET PUT+ HEAD", 4)),
        ] {
            assert_eq!(found(method, body, list), (expected.0.to_owned(), expected.1));
        }
    }
}
