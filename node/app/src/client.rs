//! The command line's way to a node: blocking HTTP, with every refusal turned into words and an exit code.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::problem::ProblemBody;
use crate::failure::{Exit, Failure};

/// Bytes of the longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A node to talk to.
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// A client of the node at a URL.
    pub fn new(base: &str, timeout: Duration) -> Self {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
        if is_loopback(base) {
            // A proxy reaches its own machine there, not this one.
            config = config.proxy(None);
        }
        Self { agent: config.build().into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Reads JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.agent.get(self.url(path)).call();
        self.json(answer)
    }

    /// Reads JSON, or nothing where the node says 404.
    pub fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.get(path) {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.code == Exit::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads bytes.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.agent.get(self.url(path)).call();
        let (status, body) = self.body(answer)?;
        if status == 200 { Ok(body) } else { Err(refused(status, &body)) }
    }

    /// Sends JSON and reads JSON.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let answer = self.agent.post(self.url(path)).send_json(body);
        self.json(answer)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn json<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let (status, body) = self.body(answer)?;
        if !(200..300).contains(&status) {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(Exit::Failed, format!("{} answered with something else than expected: {error}", self.base))
                .hint("is this the address of a cpc node of the same version? See `cpc version`.")
        })
    }

    fn body(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, Vec<u8>), Failure> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok((status, body.map_err(|error| self.unreachable(&error))?))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => Failure::new(Exit::TimedOut, format!("{} did not answer in time", self.base))
                .hint("wait longer with --timeout 60s"),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::new(Exit::Usage, format!("{:?} is not a URL: {error}", self.base))
                    .hint("write for example --node http://127.0.0.1:8000")
            }
            _ => Failure::new(Exit::Unreachable, format!("no node answers at {}: {error}", self.base))
                .hint("start one with `cpc devnet`, or name another with --node URL"),
        }
    }
}

/// Whether a URL names this machine.
fn is_loopback(base: &str) -> bool {
    let Ok(url) = base.parse::<ureq::http::Uri>() else { return false };
    url.host().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// What the node refused, in its own words, in one line.
fn refused(status: u16, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<ProblemBody>(body) else {
        return Failure::new(Exit::Failed, format!("the node answered with HTTP {status}"));
    };
    let code = match (status, problem.code.as_str()) {
        (404, _) => Exit::NotFound,
        (_, "insufficient_funds") => Exit::InsufficientFunds,
        (429 | 503, _) => Exit::NotNow,
        (400..=499, _) => Exit::Refused,
        _ => Exit::Failed,
    };
    let one_line = |text: String| text.replace(char::is_control, "");
    let failure = Failure::new(code, one_line(problem.detail));
    if problem.hint.is_empty() { failure } else { failure.hint(one_line(problem.hint)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        let cases = [
            ("http://127.0.0.1:8000", true),
            ("http://127.8.0.1", true),
            ("http://LocalHost:1", true),
            ("http://[::1]:8000/", true),
            ("http://localhost.example:8000", false),
            ("http://10.0.0.1:8000", false),
            ("https://node.example", false),
            ("not a url", false),
        ];
        for (base, expected) in cases {
            assert_eq!(is_loopback(base), expected, "{base}");
            if expected {
                assert!(Client::new(base, Duration::ZERO).agent.config().proxy().is_none(), "{base}");
            }
        }
    }

    #[test]
    fn words_of_a_node_stay_in_their_line() {
        let body = r#"{"type":"","title":"","status":400,"code":"x","detail":"a\nerror: b\u001b[2J","hint":"c\rd"}"#;
        let failure = refused(400, body.as_bytes());
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), ("aerror: b[2J", Some("cd")));
    }
}
