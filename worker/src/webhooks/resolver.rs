//! What a resolver is asked over HTTPS, and what it answers: the JSON form (`application/dns-json`) that the public resolvers
//! share.

use std::net::IpAddr;

use serde::Deserialize;
use url::Url;

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "application/dns-json";
/// More of an answer is not read.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Addresses of one name. Of a name with more, some would be sent to unjudged.
pub const ADDRESSES_MAX: usize = 64;

/// The kinds of records that hold an address (RFC 1035 and RFC 3596): each is asked for by itself.
pub const KINDS: [Kind; 2] = [Kind::A, Kind::Aaaa];

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address of four bytes.
    A,
    /// One of sixteen.
    Aaaa,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// Where a resolver is asked for a name; none where the resolver's URL is none.
pub fn question(resolver: &str, name: &str, kind: Kind) -> Option<String> {
    let mut url = Url::parse(resolver).ok()?;
    url.query_pairs_mut().append_pair("name", name).append_pair("type", kind.name());
    Some(url.into())
}

const NO_ERROR: u32 = 0;
const NO_SUCH_NAME: u32 = 3;

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "Status")]
    status: u32,
    #[serde(rename = "TC", default)]
    is_cut_short: bool,
    #[serde(rename = "Answer", default)]
    records: Option<Vec<Record>>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: u32,
    data: String,
}

/// The addresses of an answer. The resolver has followed aliases, and tells them beside. A name that does not exist has none; an
/// answer that does not tell all of them is an error, because one that is not told is not judged.
pub fn addresses(body: &[u8], kind: Kind) -> Result<Vec<IpAddr>, String> {
    let reply: Reply = serde_json::from_slice(body).map_err(|_| "the resolver's answer cannot be read".to_owned())?;
    match reply.status {
        NO_ERROR => {}
        NO_SUCH_NAME => return Ok(Vec::new()),
        status => return Err(format!("the resolver answered with DNS status {status}")),
    }
    let records = reply.records.unwrap_or_default();
    let told: Vec<&Record> = records.iter().filter(|record| record.kind == kind.number()).collect();
    if reply.is_cut_short || told.len() > ADDRESSES_MAX {
        return Err("the name has too many addresses".to_owned());
    }
    let read = |record: &Record| record.data.parse().map_err(|_| "the resolver's answer holds no address".to_owned());
    told.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, kind: Kind) -> Result<Vec<String>, String> {
        addresses(body.as_bytes(), kind).map(|all| all.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn a_question_keeps_what_the_resolver_s_url_says_already() {
        let check = |resolver: &str, kind: Kind, expected: Option<&str>| {
            assert_eq!(question(resolver, "shop.example", kind).as_deref(), expected, "{resolver}");
        };
        let asked = "https://cloudflare-dns.com/dns-query?name=shop.example&type=A";
        check("https://cloudflare-dns.com/dns-query", Kind::A, Some(asked));
        check(
            "https://dns.example/resolve?cd=0",
            Kind::Aaaa,
            Some("https://dns.example/resolve?cd=0&name=shop.example&type=AAAA"),
        );
        check("", Kind::A, None);
        check("mailto:dns@example.com", Kind::A, Some("mailto:dns@example.com?name=shop.example&type=A"));
    }

    #[test]
    fn addresses_are_told_beside_the_aliases_that_lead_to_them() {
        let body = r#"{"Status":0,"TC":false,"RD":true,"RA":true,"AD":false,"CD":false,
            "Question":[{"name":"shop.example","type":1}],
            "Answer":[{"name":"shop.example","type":5,"TTL":300,"data":"edge.example."},
                      {"name":"edge.example","type":1,"TTL":60,"data":"93.184.215.14"},
                      {"name":"edge.example","type":1,"TTL":60,"data":"10.0.0.1"}]}"#;
        assert_eq!(read(body, Kind::A), Ok(vec!["93.184.215.14".to_owned(), "10.0.0.1".to_owned()]));
        assert_eq!(read(body, Kind::Aaaa), Ok(vec![]));
        let body = r#"{"Status":0,"Answer":[{"name":"shop.example","type":28,"TTL":60,"data":"2606:2800:21f::1"}]}"#;
        assert_eq!(read(body, Kind::Aaaa), Ok(vec!["2606:2800:21f::1".to_owned()]));
    }

    #[test]
    fn a_name_that_is_not_there_has_no_address() {
        for none in
            [r#"{"Status":3}"#, r#"{"Status":0}"#, r#"{"Status":0,"Answer":null}"#, r#"{"Status":0,"Answer":[]}"#]
        {
            assert_eq!(read(none, Kind::A), Ok(vec![]), "{none}");
        }
    }

    #[test]
    fn an_answer_that_does_not_tell_every_address_is_none() {
        let record = r#"{"name":"a","type":1,"TTL":1,"data":"93.184.215.14"}"#;
        let many = |count: usize| format!(r#"{{"Status":0,"Answer":[{}]}}"#, vec![record; count].join(","));
        assert_eq!(read(&many(ADDRESSES_MAX), Kind::A).map(|all| all.len()), Ok(ADDRESSES_MAX));
        for bad in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"Status":2}"#,
            r#"{"Status":5,"Answer":[]}"#,
            r#"{"Status":0,"TC":true,"Answer":[]}"#,
            r#"{"Status":0,"Answer":[{"type":1,"data":"shop.example"}]}"#,
            r#"{"Status":0,"Answer":[{"type":1,"data":7}]}"#,
            &many(ADDRESSES_MAX + 1),
            &many(2)[..40],
        ] {
            assert!(read(bad, Kind::A).is_err(), "{bad}");
        }
    }
}
