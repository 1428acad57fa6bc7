//! A form with a file, as browsers send it: `multipart/form-data` (RFC 7578), read from a body that is bounded already.

use http::{HeaderMap, header};

/// Fields of a form. What is asked for has few.
const PARTS_MAX: usize = 16;

/// What a form holds: each field's name with its bytes. `None` when it is no such form, or not whole.
pub fn parts<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Vec<(String, &'a [u8])>> {
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (essence, parameters) = media_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?.trim_matches('"');
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut all = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(all);
        }
        if all.len() >= PARTS_MAX {
            return None;
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_ends = find(rest, b"\r\n\r\n")?;
        let name = name(std::str::from_utf8(&rest[..head_ends]).ok()?)?;
        let content = &rest[head_ends + 4..];
        let ends = find(content, between.as_bytes())?;
        all.push((name, &content[..ends]));
        rest = &content[ends + between.len()..];
    }
}

/// A field as text; `None` also when it is empty or no UTF-8.
pub fn text(parts: &[(String, &[u8])], name: &str) -> Option<String> {
    let (_, bytes) = parts.iter().find(|(key, _)| key == name)?;
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn name(head: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, rest) = line.split_once(" name=\"")?;
    Some(rest.split('"').next()?.to_owned())
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(media_type: &str, body: &str) -> Option<Vec<(String, String)>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
        let parts = parts(&headers, body.as_bytes())?;
        Some(parts.into_iter().map(|(name, bytes)| (name, String::from_utf8_lossy(bytes).into_owned())).collect())
    }

    #[test]
    fn a_form_with_a_file_is_read_as_browsers_send_it() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nlinks\r\n--x\r\nContent-Disposition: form-data; \
            name=\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\nref,--x\r\na\r\n\r\n--x--\r\n";
        let expected =
            vec![("kind".to_owned(), "links".to_owned()), ("file".to_owned(), "ref,--x\r\na\r\n".to_owned())];
        assert_eq!(read("multipart/form-data; boundary=x", body), Some(expected.clone()));
        assert_eq!(read("multipart/form-data; boundary=\"x\"", body), Some(expected));
        assert_eq!(read("multipart/form-data; boundary=x", "--x--\r\n"), Some(vec![]));
        for (media_type, body) in [
            ("text/plain; boundary=x", body),
            ("multipart/form-data", body),
            ("multipart/form-data; boundary=", body),
            ("multipart/form-data; boundary=y", body),
            ("multipart/form-data; boundary=x", &body[..body.len() - 8]),
            ("multipart/form-data; boundary=x", "--x\r\nX: y\r\n\r\n1\r\n--x--"),
            ("multipart/form-data; boundary=x", ""),
        ] {
            assert_eq!(read(media_type, body), None, "{media_type} {body}");
        }
        let many = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(20) + "--x--";
        assert_eq!(read("multipart/form-data; boundary=x", &many), None);
    }
}
