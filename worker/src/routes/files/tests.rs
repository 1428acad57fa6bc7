use serde_json::json;

use crate::testing::{Answer, World};

fn get(world: &World, line: &str, headers: &[(&str, &str)]) -> Answer {
    world.send(line, headers, json!(null))
}

#[test]
fn a_script_is_sent_in_the_form_that_the_caller_likes_best() {
    let world = World::new();
    let check = |accepted: &str, coding: &str, body: &str| {
        for path in ["/v1/selgeo.js", "/_s/v1/selgeo.js", "/v1/selgeo.0123456789abcdef.js"] {
            let answer = get(&world, &format!("GET {path}"), &[("accept-encoding", accepted)]);
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!((answer.header("content-encoding"), answer.raw.as_str()), (coding, body), "{path} {accepted}");
            assert_eq!(answer.header("vary"), "accept-encoding", "{path} {accepted}");
            assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{path} {accepted}");
        }
    };
    check("gzip, deflate, br, zstd", "br", "selgeo in brotli");
    check("gzip, deflate", "gzip", "selgeo in gzip");
    check("br;q=0.1, gzip", "gzip", "selgeo in gzip");
    check("deflate", "", "/* selgeo */");
    check("br;q=0, identity", "", "/* selgeo */");
    check("", "", "/* selgeo */");
}

#[test]
fn a_form_that_was_not_built_gives_way_to_the_plain_file() {
    let answer = get(&World::new(), "GET /trac.js", &[("accept-encoding", "br")]);
    assert_eq!((answer.status.as_u16(), answer.raw.as_str()), (200, "/* trac */"));
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("", "accept-encoding"));
}

#[test]
fn each_form_is_revalidated_by_an_etag_of_its_own() {
    let world = World::new();
    let ask = |method: &str, accepted: &str, held: &str| {
        let headers = [("accept-encoding", accepted), ("if-none-match", held)];
        get(&world, &format!("{method} /v1/selgeo.js"), &headers)
    };
    let etags = ["br", "gzip", ""].map(|accepted| ask("GET", accepted, "").header("etag").to_owned());
    let [brotli, gzip, plain] = &etags;
    assert!(brotli != gzip && gzip != plain && plain != brotli, "{etags:?}");
    for (accepted, own) in ["br", "gzip", ""].into_iter().zip(&etags) {
        for method in ["GET", "HEAD"] {
            let check = |held: &str, expected: u16| {
                let answer = ask(method, accepted, held);
                assert_eq!(answer.status, expected, "{method} {accepted:?} {held}");
                assert_eq!(answer.header("etag"), own);
                assert_eq!(answer.header("vary"), "accept-encoding");
                assert_eq!(answer.header("cache-control"), "public, max-age=300, must-revalidate");
                assert_eq!(answer.header("access-control-allow-origin"), "*");
                assert_eq!(answer.raw.is_empty(), expected == 304 || method == "HEAD");
                let described = answer.header("content-encoding");
                assert_eq!(described, if expected == 304 { "" } else { accepted });
            };
            check(own, 304);
            check(&format!("W/{own}"), 304);
            check(&format!("\"another\" , {own}"), 304);
            check("*", 304);
            check("\"another\"", 200);
            check(own.trim_matches('"'), 200);
            for other in etags.iter().filter(|other| *other != own) {
                check(other, 200);
            }
        }
    }
}

#[test]
fn a_style_is_revalidated_too() {
    let world = World::new();
    let first = get(&world, "GET /static/selgeo.css", &[]);
    assert_eq!((first.status.as_u16(), first.header("content-type")), (200, "text/css"));
    let again = get(&world, "GET /static/selgeo.css", &[("if-none-match", first.header("etag"))]);
    assert_eq!((again.status.as_u16(), again.raw.as_str()), (304, ""));
}

#[test]
fn scripts_are_there_by_their_names_alone() {
    let world = World::new();
    let check = |path: &str, expected: &str| {
        for (method, mount) in [("GET", ""), ("GET", "/_s"), ("HEAD", ""), ("HEAD", "/_s")] {
            let answer = get(&world, &format!("{method} {mount}{path}"), &[("accept-encoding", "br")]);
            let (status, body) = expected.split_once(' ').unwrap();
            assert_eq!(answer.status.as_str(), status, "{method} {mount}{path}");
            if (status, method) == ("200", "GET") {
                assert_eq!(answer.raw, body, "{mount}{path}");
            }
            if status == "200" {
                assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin", "{mount}{path}");
                assert_eq!(answer.header("x-content-type-options"), "nosniff", "{mount}{path}");
                assert_eq!(answer.header("set-cookie"), "", "{mount}{path}");
            }
        }
    };
    check("/v1/selgeo.js", "200 selgeo in brotli");
    check("/trac.js", "200 /* trac */");
    check("/v1/trac.js", "200 /* trac */");
    check("/v1/trac.0123456789abcdef.js", "200 /* trac */");
    check("/trac-fallback.js", "200 /* trac, translated */");
    check("/v1/trac-fallback.js", "200 /* trac, translated */");
    check("/v1/selgeo-fallback.js", "200 /* selgeo, translated */");
    // Not built.
    check("/v1/selgeo.ffff.js", "404 ");
    // Built, but no page's business: the stored forms, the manifest, what lies elsewhere.
    check("/v1/selgeo.js.br", "404 ");
    check("/v1/selgeo.js.gz", "404 ");
    check("/v1/manifest.json", "404 ");
    check("/v1/other.js", "404 ");
    check("/v1/selgeo%2F..%2F..%2Fdata.js", "404 ");
    check("/trac.json", "404 ");
    check("/trac.js/", "404 ");
    assert_eq!(get(&world, "POST /trac.js", &[]).summary(), "405 METHOD_NOT_ALLOWED");
}

#[test]
fn the_description_and_what_is_made_of_it_are_served_and_revalidated() {
    let world = World::new();
    let check = |path: &str, media_type: &str, body: &str| {
        let answer = get(&world, &format!("GET {path}"), &[]);
        assert_eq!((answer.status.as_u16(), answer.raw.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        let again = get(&world, &format!("GET {path}"), &[("if-none-match", answer.header("etag"))]);
        assert_eq!((again.status.as_u16(), again.raw.as_str()), (304, ""), "{path}");
        answer
    };
    let description = check("/openapi.json", "application/json", "{}");
    assert_eq!(description.header("access-control-allow-origin"), "*");
    check("/llms.txt", "text/plain; charset=utf-8", "# Selgeo");
    check("/docs/api", "text/html; charset=utf-8", "the reference");
}

#[test]
fn guides_are_pages_that_run_nothing() {
    let world = World::new();
    let check = |path: &str, body: &str| {
        let answer = get(&world, &format!("GET {path}"), &[]);
        assert_eq!((answer.status.as_u16(), answer.raw.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(answer.header("content-security-policy"), super::GUIDES_POLICY, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let again = get(&world, &format!("GET {path}"), &[("if-none-match", answer.header("etag"))]);
        assert_eq!((again.status.as_u16(), again.raw.as_str()), (304, ""), "{path}");
    };
    check("/docs", "all guides");
    check("/docs/", "all guides");
    check("/docs/quick-start", "a guide");
}

#[test]
fn a_guide_that_is_not_there_is_told_as_a_page() {
    let world = World::new();
    for path in [
        "/docs/none",
        "/docs/index",
        "/docs/quick-start.html",
        "/docs/..%2Fstatic%2Fselgeo.css",
        "/docs/quick-start/more",
    ] {
        let answer = get(&world, &format!("GET {path}"), &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert!(answer.raw.contains("There is no such page"), "{path}: {}", answer.raw);
    }
}
