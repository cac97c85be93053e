//! The page that people look at: its files, in the program, and what they are served with.
//!
//! No build step and no other origin: a browser gets the files as they stand in `page/`, and each names the others by
//! paths relative to itself, so that the page works behind any path ([`src/page/README.md`] says what is in which file).
//! Nothing of an event is ever in these files; the page asks the collector's other paths for it.
//!
//! [`src/page/README.md`]: https://github.com/posthaste-events/posthaste/tree/main/crates/posthaste-collector/src/page

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
    routing::get,
};

use crate::Collector;

/// A file of the page.
struct Asset {
    /// Below the page's own path.
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    /// Tells one version of the content from another.
    version: u64,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($path:literal, $file:literal, $content_type:expr) => {{
        const CONTENT: &str = include_str!(concat!("page/", $file));
        Asset {
            path: $path,
            content_type: $content_type,
            content: CONTENT,
            version: version(CONTENT.as_bytes()),
        }
    }};
}

static INDEX: Asset = asset!("", "index.html", HTML);

static ASSETS: &[Asset] = &[
    asset!("page.css", "page.css", CSS),
    asset!("page.js", "page.js", SCRIPT),
    asset!("page/address.js", "address.js", SCRIPT),
    asset!("page/api.js", "api.js", SCRIPT),
    asset!("page/copy.js", "copy.js", SCRIPT),
    asset!("page/detail.js", "detail.js", SCRIPT),
    asset!("page/dialogs.js", "dialogs.js", SCRIPT),
    asset!("page/dom.js", "dom.js", SCRIPT),
    asset!("page/experiments.js", "experiments.js", SCRIPT),
    asset!("page/files.js", "files.js", SCRIPT),
    asset!("page/filters.js", "filters.js", SCRIPT),
    asset!("page/format.js", "format.js", SCRIPT),
    asset!("page/icon.svg", "icon.svg", SVG),
    asset!("page/list.js", "list.js", SCRIPT),
    asset!("page/live.js", "live.js", SCRIPT),
    asset!("page/panes.js", "panes.js", SCRIPT),
    asset!("page/raw.js", "raw.js", SCRIPT),
    asset!("page/rows.js", "rows.js", SCRIPT),
    asset!("page/tables.js", "tables.js", SCRIPT),
    asset!("page/telling.js", "telling.js", SCRIPT),
    asset!("page/theme.js", "theme.js", SCRIPT),
];

/// The files that the page loads, and the page itself at `/latest`. `/` is [`index`], where a browser asks for it.
pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/latest", get(latest))
        .route("/page.css", get(|headers: HeaderMap| async move { named("page.css", &headers) }))
        .route("/page.js", get(|headers: HeaderMap| async move { named("page.js", &headers) }))
        .route("/page/{file}", get(file))
}

/// The page.
pub(crate) fn index(headers: &HeaderMap) -> Response {
    INDEX.answer(headers)
}

async fn latest(headers: HeaderMap) -> Response {
    index(&headers)
}

async fn file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    named(&format!("page/{file}"), &headers)
}

fn named(path: &str, headers: &HeaderMap) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    asset.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| asset.answer(headers))
}

impl Asset {
    /// A browser asks each time whether there is another version: a collector that is newer shows its own page at once.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{:016x}\"", self.version);
        let about = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".to_owned())];
        if headers.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &tag)) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, [(CONTENT_TYPE, self.content_type)], self.content).into_response()
    }
}

/// Whether a list of entity tags has this one, or `*`; a weak one will do.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let listed = list.to_str().unwrap_or_default().split(',').map(str::trim);
    listed.map(|one| one.strip_prefix("W/").unwrap_or(one)).any(|one| one == tag || one == "*")
}

/// FNV-1a: no secret is kept by it, it only tells versions apart, and it is found while compiling.
const fn version(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let [first, rest @ ..] = bytes {
        hash = (hash ^ *first as u64).wrapping_mul(0x0100_0000_01b3);
        bytes = rest;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn all() -> impl Iterator<Item = &'static Asset> {
        ASSETS.iter().chain([&INDEX])
    }

    /// What stands between `before` and the next `after`, each time.
    fn between<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let files =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<String> =
            files.filter(|name| name != "README.md" && name != "index.html").collect();
        let served = ASSETS.iter().map(|asset| asset.path.trim_start_matches("page/").to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), files);
    }

    #[test]
    fn whatever_a_file_loads_is_there() {
        let paths: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
            for import in between(asset.content, " from \"", '"') {
                let name = import.strip_prefix("./").unwrap_or_else(|| panic!("{}: {import}", asset.path));
                let folder = if asset.path == "page.js" { "" } else { "page/" };
                assert!(paths.contains(format!("{folder}{name}").as_str()), "{}: {import}", asset.path);
            }
        }
        for attribute in ["src=\"", "<link rel=\"stylesheet\" href=\"", "<link rel=\"icon\" href=\""] {
            let loaded = between(INDEX.content, attribute, '"');
            assert!(
                !loaded.is_empty() && loaded.iter().all(|path| paths.contains(path)),
                "{attribute}: {loaded:?}"
            );
        }
    }

    /// What the policy forbids, and what would make a text of an event run.
    #[test]
    fn no_file_asks_another_origin_or_makes_markup_of_text() {
        for asset in all() {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http:",
                "https:",
                "\"//",
                "url(//",
                "@import",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
            ] {
                assert!(!content.contains(word), "{}: {word}", asset.path);
            }
            for word in ["document.write", "eval(", "new Function", "srcdoc", "javascript:", "DOMParser"] {
                assert!(!content.contains(word), "{}: {word}", asset.path);
            }
        }
        assert_eq!(between(INDEX.content, "<script", '>').len(), INDEX.content.matches("></script>").count());
        for inline in ["<style", " style=\"", " on"] {
            assert!(between(INDEX.content, "<", '>').iter().all(|tag| !tag.contains(inline)), "{inline}");
        }
    }

    #[test]
    fn versions_differ_with_the_content() {
        let versions: BTreeSet<u64> = all().map(|asset| asset.version).collect();
        assert_eq!(versions.len(), ASSETS.len() + 1);
        // From the authors' list of test vectors.
        assert_eq!((version(b""), version(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
