//! HTTP through the host, which resolves, connects and checks. Needs the grant
//! `http` for the host and the method.

use crate::error::HostError;
use crate::frame::u32_at;
use crate::host;
use crate::json::{quote, Object};

/// A request that has not been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    credential: Option<String>,
    body: Vec<u8>,
}

/// What came back; any status is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Object,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with any method.
    pub fn new(method: &str, url: &str) -> Self {
        Request { method: method.into(), url: url.into(), headers: Vec::new(), credential: None, body: Vec::new() }
    }

    /// A GET request.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A POST request with a body.
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Names the credential of the grant that the host adds; the kernel never sees it.
    pub fn credential(mut self, name: &str) -> Self {
        self.credential = Some(name.into());
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and waits for the whole answer.
    pub fn send(&self) -> Result<Response, HostError> {
        let answer = host::http(&self.encode())?;
        decode(&answer).ok_or_else(|| HostError::Failed("the host's answer is no response".into()))
    }

    /// The length of the head, the head, the body.
    fn encode(&self) -> Vec<u8> {
        let mut head = format!("{{\"method\":{},\"url\":{}", quote(&self.method), quote(&self.url));
        if !self.headers.is_empty() {
            let headers: Vec<String> = self.headers.iter().map(|(k, v)| quote(k) + ":" + &quote(v)).collect();
            head += &format!(",\"headers\":{{{}}}", headers.join(","));
        }
        if let Some(name) = &self.credential {
            head += &format!(",\"credential\":{}", quote(name));
        }
        head.push('}');
        let mut out = (head.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// The status, the length of the headers, the headers, the body.
fn decode(answer: &[u8]) -> Option<Response> {
    if answer.len() < 8 {
        return None;
    }
    let (head, rest) = answer.split_at(8);
    let n = u32_at(head, 4) as usize;
    let headers = Object::parse(rest.get(..n)?).ok()?;
    Some(Response { status: u32_at(head, 0) as u16, headers, body: rest[n..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn encodes_a_request() {
        let r = Request::post("http://example.com/a\"b", "body").header("accept", "*/*").credential("c");
        let head = br#"{"method":"POST","url":"http://example.com/a\"b","headers":{"accept":"*/*"},"credential":"c"}"#;
        let encoded = r.encode();
        assert_eq!(u32_at(&encoded, 0) as usize, head.len());
        assert_eq!(&encoded[4..], [&head[..], b"body"].concat());
    }

    #[test]
    fn reads_a_long_answer_to_its_end() {
        let body = vec![b'x'; 5000];
        let mut raw = [404u32.to_le_bytes(), 9u32.to_le_bytes()].concat();
        raw.extend_from_slice(br#"{"a":"b"}"#);
        raw.extend_from_slice(&body);
        Host::reset().http(move |request| {
            assert_eq!(&request[4..], br#"{"method":"GET","url":"http://example.com/"}"#);
            Ok(raw.clone())
        });
        let response = Request::get("http://example.com/").send().unwrap();
        assert_eq!((response.status, response.body), (404, body));
        assert_eq!(response.headers.text("a"), Ok(Some("b")));
    }

    #[test]
    fn says_why_it_failed() {
        Host::reset();
        assert_eq!(Request::get("http://example.com/").send(), Err(HostError::NotGranted("no grant of http".into())));
        Host::reset().http(|_| Err("refused".into()));
        assert_eq!(Request::get("http://example.com/").send(), Err(HostError::Failed("refused".into())));
        Host::reset().http(|_| Ok(vec![200, 0, 0, 0, 9, 0, 0, 0]));
        assert!(matches!(Request::get("http://example.com/").send(), Err(HostError::Failed(_))));
    }
}
