//! The files of the page, in the binary.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// One file of the page.
pub(super) struct Asset {
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

impl Asset {
    /// Another one whenever the content is another one.
    pub(super) fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("page/", $name)),
        }
    };
}

/// What `/` answers.
pub(super) const INDEX: Asset = asset!("index.html", HTML);

/// What it loads, each under `/dashboard/`.
pub(super) const ASSETS: [Asset; 16] = [
    asset!("style.css", CSS),
    asset!("icon.svg", SVG),
    asset!("main.js", JS),
    asset!("live.js", JS),
    asset!("model.js", JS),
    asset!("format.js", JS),
    asset!("layout.js", JS),
    asset!("picture.js", JS),
    asset!("edges.js", JS),
    asset!("grid.js", JS),
    asset!("cards.js", JS),
    asset!("panel.js", JS),
    asset!("gaps.js", JS),
    asset!("events.js", JS),
    asset!("theme.js", JS),
    asset!("dom.js", JS),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> impl Iterator<Item = &'static Asset> {
        std::iter::once(&INDEX).chain(&ASSETS)
    }

    /// What stands between each `before` and the next quote.
    fn quoted_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        let rests = text.split(before).skip(1);
        rests.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn the_page_loads_files_that_there_are() {
        let mut wanted = BTreeSet::new();
        for attribute in ["src=\"", "href=\""] {
            for path in quoted_after(INDEX.content, attribute) {
                wanted.insert(path.strip_prefix("dashboard/").unwrap());
            }
        }
        for asset in &ASSETS {
            wanted.extend(quoted_after(asset.content, "from \"./"));
        }
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.name).collect();
        assert_eq!(wanted, served, "left: wanted, right: served");
    }

    #[test]
    fn nothing_is_asked_of_anybody_else() {
        for asset in all() {
            for scheme in ["http://", "https://", "\"//"] {
                for rest in asset.content.split(scheme).skip(1) {
                    let is_namespace = rest.starts_with("www.w3.org/2000/svg\"");
                    assert!(is_namespace, "{}: {scheme}{rest:.40}", asset.name);
                }
            }
        }
    }

    /// Names and messages come from strangers.
    #[test]
    fn no_text_becomes_html_and_no_script_stands_inline() {
        let html = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ];
        for asset in all() {
            for way in html {
                assert!(!asset.content.contains(way), "{}: {way}", asset.name);
            }
        }
        for inline in ["<script>", "<style", " style=", " onclick="] {
            assert!(!INDEX.content.contains(inline), "{inline}");
        }
    }
}
