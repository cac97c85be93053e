//! The page's files over HTTP. What a browser makes of them is tested beside the command, with a real one.

use http::{Method, StatusCode, header};

use crate::support::{Answer, Server, collector};

fn header<'a>(answer: &'a Answer, name: &header::HeaderName) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

#[tokio::test]
async fn the_page_and_its_files_have_their_types() {
    let server = Server::start(collector()).await;
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/latest?visitor=ann", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page/list.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.send(Method::GET, path, &[BROWSER], b"").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(header(&answer, &header::CONTENT_TYPE), content_type, "{path}");
        assert_eq!(header(&answer, &header::CACHE_CONTROL), "no-cache", "{path}");
    }
    for path in ["/page/none.js", "/page/index.html", "/page/README.md", "/page/..%2fpage.rs"] {
        assert_eq!(server.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_browser_that_has_a_file_already_is_told_so() {
    let server = Server::start(collector()).await;
    let first = server.get("/page.js").await;
    let tag = header(&first, &header::ETAG).to_owned();
    for (asked, status) in [
        (tag.clone(), StatusCode::NOT_MODIFIED),
        (format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
        ("*".to_owned(), StatusCode::NOT_MODIFIED),
        ("\"other\"".to_owned(), StatusCode::OK),
    ] {
        let answer = server.send(Method::GET, "/page.js", &[("If-None-Match", &asked)], b"").await;
        assert_eq!((answer.status, header(&answer, &header::ETAG)), (status, tag.as_str()), "{asked}");
        assert_eq!(answer.body.is_empty(), status == StatusCode::NOT_MODIFIED, "{asked}");
    }
    assert_ne!(header(&server.get("/page.css").await, &header::ETAG), tag);
}
