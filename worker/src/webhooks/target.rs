//! Whether a webhook may go to a URL: judged when it is saved, and again each time something is sent.

use std::fmt;
use std::net::IpAddr;

use domain::mode::Mode;
use domain::webhook::address::{self, Refusal};
use url::{Host, Url};

use super::{Receivers, URL_CHARS_MAX, Unreached};
use crate::app::App;

/// Why a URL is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It is none.
    NoUrl,
    /// Neither `http` nor `https`.
    Scheme,
    /// Live mode needs HTTPS.
    PlainHttp,
    /// It holds a user's name or password.
    Credentials,
    /// It goes to where no webhook may.
    Address(Refusal),
    /// Its name leads to where no webhook may: the address.
    Leads(IpAddr),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl => {
                write!(f, "must be a URL of at most {URL_CHARS_MAX} characters, such as https://shop.example/hooks")
            }
            Self::Scheme => f.write_str("must begin with https:// (or http:// in test mode)"),
            Self::PlainHttp => f.write_str("must begin with https:// in live mode"),
            Self::Credentials => f.write_str("must hold no user name and no password"),
            Self::Address(refusal) => write!(f, "must lead to the public Internet: {refusal}"),
            Self::Leads(address) => write!(f, "must lead to the public Internet: its name leads to {address}"),
        }
    }
}

/// A URL that a webhook may go to, as far as it can be told without asking for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it is asked: spelled as browsers spell it, without a fragment.
    pub url: String,
    /// The name that is to be looked up; none where it is an address.
    name: Option<String>,
    /// Whether it is this machine itself.
    pub is_loopback: bool,
}

/// Reads and judges a URL. `loopback_allowed` under `cargo xtask dev` only.
pub fn parse(text: &str, mode: Mode, loopback_allowed: bool) -> Result<Target, Bad> {
    if text.chars().count() > URL_CHARS_MAX {
        return Err(Bad::NoUrl);
    }
    let mut url = Url::parse(text).map_err(|_| Bad::NoUrl)?;
    match (url.scheme(), mode) {
        ("https", _) | ("http", Mode::Test) => {}
        ("http", Mode::Live) => return Err(Bad::PlainHttp),
        _ => return Err(Bad::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Bad::Credentials);
    }
    url.set_fragment(None);
    // As it is stored, escaped, it will be read again.
    if url.as_str().len() > URL_CHARS_MAX {
        return Err(Bad::NoUrl);
    }
    // The parser has undone every odd spelling of an address.
    let (judged, name) = match url.host() {
        Some(Host::Ipv4(address)) => (address::judge(address.into()), None),
        Some(Host::Ipv6(address)) => (address::judge(address.into()), None),
        // A dot at the end says that it is the whole name, which it is without one too.
        Some(Host::Domain(name)) => (address::judge_name(name), Some(name.trim_end_matches('.').to_owned())),
        None => return Err(Bad::NoUrl),
    };
    let is_loopback = judged == Err(Refusal::Loopback);
    match judged {
        Err(Refusal::Loopback) if loopback_allowed => {}
        Err(refusal) => return Err(Bad::Address(refusal)),
        Ok(()) => {}
    }
    Ok(Target { url: url.into(), name: name.filter(|_| !is_loopback), is_loopback })
}

/// A URL as it may stand in a letter: without its query and credentials, which may be secret.
pub fn in_a_letter(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return String::new() };
    url.set_query(None);
    url.set_fragment(None);
    // These fail where a URL can have none.
    let (_, _) = (url.set_username(""), url.set_password(None));
    url.into()
}

/// Why nothing is sent to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// It must not be.
    Bad(Bad),
    /// Its name has no address, or nobody tells it.
    Unresolved(String),
}

impl Target {
    /// Asks where its name leads. A name that leads to one forbidden address among others is refused: which one would be
    /// taken is not ours to say.
    pub async fn resolve(&self, receivers: &dyn Receivers) -> Result<(), Unsendable> {
        let Some(name) = &self.name else { return Ok(()) };
        let addresses = receivers.resolve(name).await.map_err(|unreached| {
            Unsendable::Unresolved(match unreached {
                Unreached::TimedOut => "the resolver did not answer in time".to_owned(),
                Unreached::Failed(why) => why,
            })
        })?;
        if addresses.is_empty() {
            return Err(Unsendable::Unresolved("the name has no address".to_owned()));
        }
        match addresses.iter().find(|address| address::judge(**address).is_err()) {
            Some(address) => Err(Unsendable::Bad(Bad::Leads(*address))),
            None => Ok(()),
        }
    }
}

/// Judges a URL that is to be saved. A name that nobody can resolve now may be resolved when something is sent.
pub async fn judge(app: &App, text: &str, mode: Mode) -> Result<Target, Bad> {
    let target = parse(text, mode, app.config.loopback_webhooks)?;
    match target.resolve(&*app.receivers).await {
        Err(Unsendable::Bad(bad)) => Err(bad),
        Ok(()) | Err(Unsendable::Unresolved(_)) => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_nothing_of_a_url_that_may_be_secret() {
        assert_eq!(in_a_letter("https://user:word@shop.example:8443/in?token=x#y"), "https://shop.example:8443/in");
        assert_eq!(in_a_letter("none"), "");
    }

    #[test]
    fn a_url_is_judged_as_the_browser_reads_it() {
        let check = |url: &str, expected: Result<&str, Bad>| {
            let parsed = parse(url, Mode::Test, false).map(|target| target.url);
            assert_eq!(parsed, expected.map(str::to_owned), "{url}");
        };
        check("https://shop.example/hooks?a=b#c", Ok("https://shop.example/hooks?a=b"));
        check("HTTPS://SHOP.example:8443", Ok("https://shop.example:8443/"));
        check("http://1.1.1.1/", Ok("http://1.1.1.1/"));
        check("https://[2606:4700::1111]/", Ok("https://[2606:4700::1111]/"));
        check("https://bücher.example/", Ok("https://xn--bcher-kva.example/"));
        for none in ["", "shop.example", "/hooks", "https://", "https://a b/", "http://[::1", "https://999.1.1.1/"] {
            check(none, Err(Bad::NoUrl));
        }
        for scheme in ["ftp://shop.example/", "file:///etc/passwd", "javascript:alert(1)", "data:text/plain,x"] {
            check(scheme, Err(Bad::Scheme));
        }
        for credentials in
            ["https://user@shop.example/", "https://user:pass@shop.example/", "https://:pass@shop.example/"]
        {
            check(credentials, Err(Bad::Credentials));
        }
        // One address in many spellings.
        for loopback in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
        ] {
            check(loopback, Err(Bad::Address(Refusal::Loopback)));
        }
        for special in [
            "http://10.0.0.1/",
            "http://0xa000001/",
            "http://192.168.1.1:8080/",
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://0/",
            "http://[::]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[2002:a00:1::]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://100.64.0.1/",
            "http://224.0.0.1/",
            "http://203.0.113.1/",
            "http://255.255.255.255/",
            "http://198.18.0.1/",
        ] {
            check(special, Err(Bad::Address(Refusal::NotPublic)));
        }
        for local in ["http://metadata.google.internal/", "http://printer.local/", "http://intranet/"] {
            check(local, Err(Bad::Address(Refusal::LocalName)));
        }
        assert_eq!(parse("http://shop.example/", Mode::Live, false), Err(Bad::PlainHttp));
        assert_eq!(parse("http://127.0.0.1:9/", Mode::Live, true), Err(Bad::PlainHttp));
        assert!(parse("https://shop.example/", Mode::Live, false).is_ok());
        let long = format!("https://shop.example/{}", "a".repeat(2_028));
        assert_eq!(parse(&long, Mode::Test, false), Err(Bad::NoUrl));
        let escaped = format!("https://shop.example/{}", "ü".repeat(700));
        assert_eq!(parse(&escaped, Mode::Test, false), Err(Bad::NoUrl));
        let stored = parse("https://bücher.example/ü?ä#ö", Mode::Test, false).unwrap();
        assert_eq!(parse(&stored.url, Mode::Test, false), Ok(stored));
    }

    #[test]
    fn loopback_is_a_target_for_a_local_server_only() {
        for url in ["http://127.0.0.1:9000/", "http://localhost:9000/", "http://[::1]:9000/"] {
            assert!(parse(url, Mode::Test, true).unwrap().is_loopback, "{url}");
        }
        assert_eq!(parse("http://10.0.0.1/", Mode::Test, true), Err(Bad::Address(Refusal::NotPublic)));
    }
}
