//! The guides: the Markdown of `www/docs` becomes pages in `build/assets/docs`, which the Worker serves under `/docs`.
//!
//! `index.md` is the menu: its second-level headings are the groups, its links the guides, in the order in which they are
//! read. A guide that it leaves out, and a link to a guide or a heading that is not there, end the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use askama::Template;

mod guide;

use guide::{Guide, Link};

const INDEX: &str = "index";
/// What guides may link to that lies on the same host and is no guide.
const SERVED: [&str; 7] = ["/", "/app", "/demo/", "/docs/api", "/healthz", "/openapi.json", "/sign-in"];

/// A page around a guide.
#[derive(Template)]
#[template(path = "docs/page.html")]
struct Page<'a> {
    guide: &'a Guide,
    menu: &'a [Group],
    before: Option<&'a Entry>,
    after: Option<&'a Entry>,
}

/// What the menu shows under one heading.
struct Group {
    name: String,
    entries: Vec<Entry>,
}

/// A guide in the menu.
struct Entry {
    /// Its file, without the ending.
    file: String,
    /// What the menu calls it.
    name: String,
}

impl Entry {
    fn href(&self) -> String {
        guide::href(&self.file)
    }
}

/// Makes the pages anew, so that a guide that is gone is gone here.
pub fn build(root: &Path) -> Result<()> {
    let to = root.join("build").join("assets").join("docs");
    let pages = pages(&root.join("www").join("docs")).context("the guides could not be made")?;
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    fs::create_dir_all(&to)?;
    for (file, html) in pages {
        fs::write(to.join(format!("{file}.html")), html)?;
    }
    Ok(())
}

/// Each page by its file's name.
fn pages(folder: &Path) -> Result<Vec<(String, String)>> {
    let guides = read(folder)?;
    let menu = menu(&guides)?;
    let broken: Vec<String> = guides.values().flat_map(|guide| broken_links(guide, &guides)).collect();
    ensure!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
    let order: Vec<&Entry> = menu.iter().flat_map(|group| &group.entries).collect();
    let render = |guide: &Guide| {
        let place = order.iter().position(|entry| entry.file == guide.file);
        let at = |index: Option<usize>| index.and_then(|index| order.get(index).copied());
        let before = at(place.and_then(|place| place.checked_sub(1)));
        let after = at(Some(place.map_or(0, |place| place + 1)));
        let page = Page { guide, menu: &menu, before, after };
        Ok((guide.file.clone(), page.render()?))
    };
    guides.values().map(render).collect()
}

fn read(folder: &Path) -> Result<BTreeMap<String, Guide>> {
    let mut guides = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".md")) else {
            bail!("{} is no guide: they end in .md", path.display());
        };
        let text = fs::read_to_string(&path)?;
        guides.insert(file.to_owned(), Guide::parse(file, &text).with_context(|| path.display().to_string())?);
    }
    Ok(guides)
}

/// The menu that `index.md` describes. It must name each guide once.
fn menu(guides: &BTreeMap<String, Guide>) -> Result<Vec<Group>> {
    let index = guides.get(INDEX).context("there is no index.md")?;
    let mut menu: Vec<Group> =
        index.sections.iter().map(|section| Group { name: section.name.clone(), entries: Vec::new() }).collect();
    let mut left: BTreeSet<&str> = guides.keys().map(String::as_str).filter(|file| *file != INDEX).collect();
    for link in &index.links {
        if let (Some(file), Some(section)) = (link.file(), link.section) {
            ensure!(left.remove(file), "index.md names {file} twice, or there is no such guide");
            menu[section].entries.push(Entry { file: file.to_owned(), name: link.text.clone() });
        }
    }
    ensure!(left.is_empty(), "index.md does not name {left:?}");
    menu.retain(|group| !group.entries.is_empty());
    Ok(menu)
}

fn broken_links(guide: &Guide, guides: &BTreeMap<String, Guide>) -> Vec<String> {
    let leads_somewhere = |link: &&Link| {
        if link.to.starts_with("https://") || SERVED.contains(&link.to.as_str()) {
            return true;
        }
        let (file, anchor) = link.to.split_once('#').unwrap_or((&link.to, ""));
        let target =
            if file.is_empty() { Some(guide) } else { file.strip_suffix(".md").and_then(|file| guides.get(file)) };
        target.is_some_and(|target| anchor.is_empty() || target.ids.contains(anchor))
    };
    let broken = guide.links.iter().filter(|link| !leads_somewhere(link));
    broken.map(|link| format!("{}.md: [{}]({})", guide.file, link.text, link.to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guides(texts: &[(&str, &str)]) -> BTreeMap<String, Guide> {
        texts.iter().map(|(file, text)| ((*file).to_owned(), Guide::parse(file, text).unwrap())).collect()
    }

    #[test]
    fn every_link_between_the_guides_leads_somewhere() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/docs");
        let pages = pages(&folder).unwrap();
        assert!(pages.iter().any(|(file, _)| file == "webhooks"));
    }

    #[test]
    fn a_link_to_what_is_not_there_is_named() {
        let guides = guides(&[
            (
                "a",
                "# A\n## One more\n[self](#one-more) [b](b.md) [there](b.md#here-it-is) [web](https://a.example) [api](/docs/api)",
            ),
            (
                "b",
                "# B\n## Here it is\n[no](c.md) [no such heading](a.md#two) [nor here](#there) [bare](a) [path](/admin) [http](http://a.example)",
            ),
        ]);
        assert_eq!(broken_links(&guides["a"], &guides), Vec::<String>::new());
        let expected = [
            "[no](c.md)",
            "[no such heading](a.md#two)",
            "[nor here](#there)",
            "[bare](a)",
            "[path](/admin)",
            "[http](http://a.example)",
        ];
        assert_eq!(broken_links(&guides["b"], &guides), expected.map(|link| format!("b.md: {link}")));
    }

    #[test]
    fn the_menu_is_what_the_index_names_in_its_order() {
        let index = "# Guides\nAbout [this](#first).\n## First\n- [Bee](b.md): b\n## Then\n- [Ay](a.md)\n- [elsewhere](https://a.example)";
        let all = guides(&[("index", index), ("a", "# A"), ("b", "# B")]);
        let menu = menu(&all).unwrap();
        let told: Vec<String> = menu
            .iter()
            .flat_map(|group| {
                group.entries.iter().map(|entry| format!("{}: {} {}", group.name, entry.name, entry.href()))
            })
            .collect();
        assert_eq!(told, ["First: Bee /docs/b", "Then: Ay /docs/a"]);
    }

    #[test]
    fn a_guide_that_the_index_leaves_out_or_names_twice_is_refused() {
        let check = |index: &str, expected: &str| {
            let all = guides(&[("index", index), ("a", "# A"), ("b", "# B")]);
            let refused = menu(&all).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains(expected), "{refused}");
        };
        check("# Guides\n## All\n[A](a.md)", r#"does not name {"b"}"#);
        check("# Guides\n## All\n[A](a.md) [B](b.md) [A](a.md)", "names a twice");
    }
}
