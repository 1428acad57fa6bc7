//! One guide: its Markdown as the HTML that our pages are made of.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A guide, read.
pub struct Guide {
    /// Its file's name, without the ending.
    pub file: String,
    /// Its first heading.
    pub title: String,
    /// All of it.
    pub html: String,
    /// Its second-level headings.
    pub sections: Vec<Section>,
    /// The ids of its headings.
    pub ids: BTreeSet<String>,
    /// Its links, as they are written.
    pub links: Vec<Link>,
}

/// A second-level heading.
pub struct Section {
    /// Its anchor.
    pub id: String,
    /// Its text.
    pub name: String,
}

/// A link.
pub struct Link {
    /// Where it leads, as it is written: so that it leads there where the Markdown itself is looked at, too.
    pub to: String,
    /// Its text.
    pub text: String,
    /// The section that it is in.
    pub section: Option<usize>,
}

impl Link {
    /// The guide that it leads to.
    pub fn file(&self) -> Option<&str> {
        self.to.split('#').next().and_then(|path| path.strip_suffix(".md"))
    }
}

/// Where a guide is served.
pub fn href(file: &str) -> String {
    if file == super::INDEX { "/docs".to_owned() } else { format!("/docs/{file}") }
}

impl Guide {
    /// Reads a guide. HTML and pictures are refused: nobody has looked at how they show.
    pub fn parse(file: &str, markdown: &str) -> Result<Self> {
        let mut reader = Reader {
            guide: Self {
                file: file.to_owned(),
                title: String::new(),
                html: String::new(),
                sections: Vec::new(),
                ids: BTreeSet::new(),
                links: Vec::new(),
            },
            out: Vec::new(),
            text: None,
            block: None,
            table: Table::default(),
        };
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            reader.take(event)?;
        }
        ensure!(!reader.guide.title.is_empty(), "it has no first-level heading");
        html::push_html(&mut reader.guide.html, reader.out.into_iter());
        Ok(reader.guide)
    }
}

/// What is read so far.
struct Reader<'a> {
    guide: Guide,
    out: Vec<Event<'a>>,
    /// The text of the heading, link or cell of a table's head that is being read, and where in `out` it began.
    text: Option<(String, usize)>,
    /// The code block that is being read.
    block: Option<(Info, String)>,
    table: Table,
}

#[derive(Default)]
struct Table {
    labels: Vec<String>,
    is_head: bool,
    column: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, event: Event<'a>) -> Result<()> {
        if let Some((info, code)) = &mut self.block {
            match event {
                Event::Text(text) => code.push_str(&text),
                _ => {
                    let figure = info.figure(code);
                    self.html(figure);
                    self.block = None;
                }
            }
            return Ok(());
        }
        if let (Some((words, _)), Event::Text(text) | Event::Code(text)) = (&mut self.text, &event) {
            words.push_str(text);
        }
        match event {
            Event::Html(_) | Event::InlineHtml(_) => bail!("there is HTML in it: {event:?}"),
            Event::Start(Tag::Image { .. }) => bail!("there is a picture in it"),
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match &kind {
                    CodeBlockKind::Fenced(info) => Info::parse(info)?,
                    CodeBlockKind::Indented => Info::default(),
                };
                self.block = Some((info, String::new()));
            }
            Event::Start(Tag::Heading { .. }) => self.text = Some((String::new(), self.out.len())),
            Event::End(TagEnd::Heading(level)) => self.heading(level)?,
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                ensure!(self.text.is_none(), "a link in a heading, or in a table's head: {dest_url}");
                let section = self.guide.sections.len().checked_sub(1);
                self.guide.links.push(Link { to: dest_url.to_string(), text: String::new(), section });
                self.text = Some((String::new(), self.out.len()));
                let dest_url = served(&dest_url).into();
                self.out.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::End(TagEnd::Link) => {
                if let (Some((text, _)), Some(link)) = (self.text.take(), self.guide.links.last_mut()) {
                    link.text = text;
                }
                self.out.push(event);
            }
            Event::Start(Tag::Table(_)) => {
                self.table = Table::default();
                self.html("<table role=\"table\">\n");
            }
            Event::End(TagEnd::Table) => self.html("</tbody>\n</table>\n"),
            Event::Start(Tag::TableHead) => {
                self.table.is_head = true;
                self.html("<thead role=\"rowgroup\"><tr role=\"row\">");
            }
            Event::End(TagEnd::TableHead) => {
                self.table.is_head = false;
                self.html("</tr></thead>\n<tbody role=\"rowgroup\">\n");
            }
            Event::Start(Tag::TableRow) => {
                self.table.column = 0;
                self.html("<tr role=\"row\">");
            }
            Event::End(TagEnd::TableRow) => self.html("</tr>\n"),
            Event::Start(Tag::TableCell) => self.cell(),
            Event::End(TagEnd::TableCell) => self.cell_ends(),
            event => self.out.push(event),
        }
        Ok(())
    }

    fn html(&mut self, html: impl Into<String>) {
        self.out.push(Event::Html(html.into().into()));
    }

    fn heading(&mut self, level: HeadingLevel) -> Result<()> {
        let (text, start) = self.text.take().context("a heading without a beginning")?;
        let mut id = anchor(&text);
        let same = (1..).map(|n| format!("{id}-{n}")).find(|other| !self.guide.ids.contains(other));
        if self.guide.ids.contains(&id) {
            id = same.unwrap_or_default();
        }
        let words = self.out.split_off(start);
        if level == HeadingLevel::H1 {
            ensure!(self.guide.title.is_empty(), "a second first-level heading: {text}");
            self.html(format!("<h1 id=\"{id}\">"));
            self.out.extend(words);
            self.guide.title = text;
        } else {
            self.html(format!("<{level} id=\"{id}\"><a class=\"heading\" href=\"#{id}\">"));
            self.out.extend(words);
            self.html("</a>");
            if level == HeadingLevel::H2 {
                self.guide.sections.push(Section { id: id.clone(), name: text });
            }
        }
        self.html(format!("</{level}>\n"));
        self.guide.ids.insert(id);
        Ok(())
    }

    /// On a narrow screen a cell stands alone, with its column's name before it.
    fn cell(&mut self) {
        if self.table.is_head {
            self.text = Some((String::new(), self.out.len()));
            return self.html("<th role=\"columnheader\" scope=\"col\">");
        }
        let label = escaped(self.table.labels.get(self.table.column).map_or("", String::as_str));
        self.html(format!("<td role=\"cell\" data-label=\"{label}\"><div>"));
    }

    fn cell_ends(&mut self) {
        if self.table.is_head {
            let (label, start) = self.text.take().unwrap_or_default();
            if label.is_empty() {
                // No heading: the column below names its rows.
                self.out.truncate(start);
                self.html("<td role=\"cell\"></td>");
            } else {
                self.html("</th>");
            }
            self.table.labels.push(label);
            return;
        }
        self.table.column += 1;
        self.html("</div></td>");
    }
}

/// What stands behind a block's fence: the language; then in any order a file's name, `run` where a test runs the block (`until`: again until the answer comes),
/// `answer` (and a status) where it is what the block before is answered, `output` where it is what that one prints, and
/// `NAME=field` for what of the answer is needed later.
#[derive(Default)]
struct Info {
    language: String,
    file: Option<String>,
    is_answer: bool,
    is_output: bool,
    status: Option<u16>,
    kept: Vec<(String, String)>,
}

impl Info {
    fn parse(info: &str) -> Result<Self> {
        let mut words = info.split_whitespace();
        let mut parsed = Self { language: words.next().unwrap_or_default().to_owned(), ..Self::default() };
        for word in words {
            match word {
                "run" | "until" => {}
                "answer" => parsed.is_answer = true,
                "output" => parsed.is_output = true,
                word => match (word.split_once('='), word.parse()) {
                    (Some((name, field)), _) => parsed.kept.push((name.to_owned(), field.to_owned())),
                    (None, Ok(status)) => parsed.status = Some(status),
                    (None, Err(_)) if word.contains('.') => parsed.file = Some(word.to_owned()),
                    (None, Err(_)) => bail!("a code block says {word:?}: {info}"),
                },
            }
        }
        Ok(parsed)
    }

    fn figure(&self, code: &str) -> String {
        let caption = self.caption();
        let kept = self.kept.iter().map(|(name, field)| {
            format!(
                "<p class=\"keep\">Keep its <code>{}</code>: <code>export {}=…</code></p>",
                escaped(field),
                escaped(name)
            )
        });
        format!(
            "<figure class=\"code\"><figcaption>{}</figcaption><pre tabindex=\"0\"><code>{}</code></pre>{}</figure>\n",
            escaped(&caption),
            escaped(code),
            kept.collect::<String>(),
        )
    }

    fn caption(&self) -> String {
        if self.is_answer {
            return self.status.map_or("The answer".to_owned(), |status| format!("The answer, {status}"));
        }
        if self.is_output {
            return "What it prints".to_owned();
        }
        if let Some(file) = &self.file {
            return file.clone();
        }
        let name = match self.language.as_str() {
            "" | "sh" => "Shell",
            "go" => "Go",
            "html" => "HTML",
            "http" => "HTTP",
            "js" => "JavaScript",
            "json" => "JSON",
            "jsx" | "tsx" => "React",
            "php" => "PHP",
            "python" => "Python",
            "rust" => "Rust",
            "text" => "Text",
            other => other,
        };
        name.to_owned()
    }
}

/// A link to a guide's file as a link to its page.
fn served(to: &str) -> String {
    let (path, anchor) = to.split_once('#').map_or((to, String::new()), |(path, anchor)| (path, format!("#{anchor}")));
    match path.strip_suffix(".md") {
        Some(file) if !path.contains('/') => format!("{}{anchor}", href(file)),
        _ => to.to_owned(),
    }
}

/// A heading's anchor, as GitHub makes it.
fn anchor(text: &str) -> String {
    let kept = text.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect::<String>().to_lowercase()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expected: &str) {
        let guide = Guide::parse("a", &format!("# A\n\n{markdown}")).unwrap();
        let html = guide.html.strip_prefix("<h1 id=\"a\">A</h1>\n").unwrap();
        assert_eq!(html.trim_end(), expected, "{markdown}");
    }

    #[test]
    fn headings_have_anchors_of_their_own() {
        check(
            "## `getClickId()` is null\n## Twice\n### Twice",
            "<h2 id=\"getclickid-is-null\"><a class=\"heading\" href=\"#getclickid-is-null\"><code>getClickId()</code> is null</a></h2>\n\
             <h2 id=\"twice\"><a class=\"heading\" href=\"#twice\">Twice</a></h2>\n\
             <h3 id=\"twice-1\"><a class=\"heading\" href=\"#twice-1\">Twice</a></h3>",
        );
    }

    #[test]
    fn links_to_files_become_links_to_pages() {
        check("[b](b.md#c)", "<p><a href=\"/docs/b#c\">b</a></p>");
        check("[all](index.md)", "<p><a href=\"/docs\">all</a></p>");
        check("[c](#c)", "<p><a href=\"#c\">c</a></p>");
        check("[w](https://a.example/x.md)", "<p><a href=\"https://a.example/x.md\">w</a></p>");
    }

    #[test]
    fn a_cell_says_which_column_it_is_of() {
        check(
            "| `a` & b | c | |\n|---|---|---|\n| 1 `x` | 2 < 3 | y |",
            "<table role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\"><code>a</code> &amp; b</th>\
             <th role=\"columnheader\" scope=\"col\">c</th><td role=\"cell\"></td></tr></thead>\n<tbody role=\"rowgroup\">\n\
             <tr role=\"row\"><td role=\"cell\" data-label=\"a &amp; b\"><div>1 <code>x</code></div></td>\
             <td role=\"cell\" data-label=\"c\"><div>2 &lt; 3</div></td>\
             <td role=\"cell\" data-label=\"\"><div>y</div></td></tr>\n</tbody>\n</table>",
        );
    }

    #[test]
    fn a_block_of_code_says_what_it_is() {
        let check = |info: &str, caption: &str, kept: &str| {
            let guide = Guide::parse("a", &format!("# A\n```{info}\n<a&b>\n```")).unwrap();
            let figure = format!(
                "<figure class=\"code\"><figcaption>{caption}</figcaption><pre tabindex=\"0\"><code>&lt;a&amp;b&gt;\n</code></pre>{kept}</figure>"
            );
            assert!(guide.html.contains(&figure), "{}", guide.html);
        };
        check("sh run", "Shell", "");
        check("", "Shell", "");
        check("js receiver.mjs", "receiver.mjs", "");
        check("text output", "What it prints", "");
        check("json answer", "The answer", "");
        let kept = "<p class=\"keep\">Keep its <code>click_id</code>: <code>export CLICK_ID=…</code></p>";
        check("json answer 201 CLICK_ID=click_id", "The answer, 201", kept);
    }

    #[test]
    fn what_nobody_has_looked_at_is_refused() {
        let check = |markdown: &str| assert!(Guide::parse("a", markdown).is_err(), "{markdown}");
        check("# A\n<b>x</b>");
        check("# A\nx <b>x</b>");
        check("# A\n![x](x.png)");
        check("# A\n# B");
        check("## A");
        check("# A\n## [x](b.md)");
        check("# A\n```sh rnu\n```");
    }
}
