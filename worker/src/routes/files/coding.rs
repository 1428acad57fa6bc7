//! Content codings: in which of the forms that a file is kept in it is sent (RFC 9110, section 12.5.3).

use http::{HeaderMap, header};

/// A form besides the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The smaller one.
    Brotli,
    /// The one that everybody reads.
    Gzip,
}

impl Coding {
    /// As headers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the build appends to the file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }
}

/// What the caller likes best of what there is; `None` is the plain file. It is sent to those who say nothing, and to those
/// who take nothing of ours: a script that comes is worth more than a refusal.
pub fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let mut weights = Weights::default();
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        value.to_str().unwrap_or("").split(',').for_each(|element| weights.add(element));
    }
    weights.best()
}

/// How much the caller likes what it names, in thousandths; 0 is not at all.
#[derive(Default)]
struct Weights {
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// Of all that is not named: `*`.
    any: Option<u16>,
}

impl Weights {
    /// Notes one element, such as `br` or `gzip;q=0.5`. What cannot be read says nothing.
    fn add(&mut self, element: &str) {
        let (coding, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
        let slot = match coding.trim().to_ascii_lowercase().as_str() {
            "br" => &mut self.brotli,
            "gzip" | "x-gzip" => &mut self.gzip,
            "identity" => &mut self.identity,
            "*" => &mut self.any,
            _ => return,
        };
        if let Some(weight) = weight(parameter) {
            *slot = Some(weight);
        }
    }

    fn best(&self) -> Option<Coding> {
        let of = |named: Option<u16>| named.or(self.any).unwrap_or(0);
        let (brotli, gzip) = (of(self.brotli), of(self.gzip));
        // The plain form is always taken, but where it is not named only for want of anything else.
        let plain = self.identity.unwrap_or(0);
        if brotli > 0 && brotli >= gzip && brotli >= plain {
            return Some(Coding::Brotli);
        }
        // A caller that refuses the plain form and names no other can only mean the one that everybody reads.
        let refuses_plain = self.identity == Some(0) && self.gzip.or(self.any).is_none();
        ((gzip > 0 && gzip >= plain) || refuses_plain).then_some(Coding::Gzip)
    }
}

/// `q=0.5` as 500.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let value: f32 = value.trim().parse().ok()?;
    let is_weight = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value);
    is_weight.then_some((value * 1_000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_coding_that_the_caller_likes_best_is_chosen_and_of_equals_the_smaller() {
        let check = |accepted: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accepted).unwrap());
            assert_eq!(preferred(&headers).map(Coding::name), expected, "{accepted:?}");
        };
        let (br, gzip, plain) = (Some("br"), Some("gzip"), None);
        check("gzip, deflate, br, zstd", br);
        check("gzip, deflate", gzip);
        check("x-gzip", gzip);
        check("GZip", gzip);
        check("deflate, zstd", plain);
        check("", plain);
        check(" , ,", plain);
        check("br;q=0.5, gzip;q=0.8", gzip);
        check("br;q=0.8, gzip;q=0.5", br);
        check("br ; Q=1.000 , gzip", br);
        check("br;q=0, gzip", gzip);
        check("br;q=0.001", br);
        check("br;q=0, gzip;q=0", plain);
        check("identity", plain);
        check("identity, gzip;q=0.5", plain);
        check("identity;q=0.5, gzip", gzip);
        check("identity;q=0.5, br;q=0.5", br);
        check("*", br);
        check("*;q=0", plain);
        check("br, *;q=0", br);
        check("gzip, *;q=0.1", gzip);
        check("br;q=0, *", gzip);
        check("identity;q=0", gzip);
        check("identity;q=0, br", br);
        check("identity;q=0, *", br);
        check("identity;q=0, gzip;q=0", plain);
        check("identity;q=0, *;q=0", plain);
        // What cannot be read says nothing.
        check("br;q=2, gzip", gzip);
        check("br;q=nan, gzip", gzip);
        check("br;q=, gzip", gzip);
        check("br;level=11, gzip", gzip);
        check("brotli", plain);
    }

    #[test]
    fn a_header_in_two_lines_is_one_list_and_none_at_all_is_the_plain_file() {
        let mut headers = HeaderMap::new();
        assert_eq!(preferred(&headers), None);
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0.5"));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("br;q=0.4"));
        assert_eq!(preferred(&headers), Some(Coding::Gzip));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_bytes(b"br\xff").unwrap());
        assert_eq!(preferred(&headers), Some(Coding::Gzip));
    }
}
