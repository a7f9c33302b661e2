//! The command line's way to a node: blocking HTTP, with every refusal turned into words and an exit code.

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
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
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

/// What the node refused, in its own words.
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
    let failure = Failure::new(code, problem.detail);
    if problem.hint.is_empty() { failure } else { failure.hint(problem.hint) }
}
