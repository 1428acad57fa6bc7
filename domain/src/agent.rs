//! What is kept of a user agent: a coarse device and browser, and whether a machine is asking. The text itself is not kept.

use crate::status::words;

words! {
    /// The kind of device.
    Device {
        /// A computer.
        Desktop = "desktop",
        /// A telephone.
        Mobile = "mobile",
        /// A tablet.
        Tablet = "tablet",
        /// Cannot be told.
        Unknown = "unknown",
    }
}

words! {
    /// The family of browser.
    Browser {
        /// Chrome and what is built on it.
        Chrome = "chrome",
        /// Edge.
        Edge = "edge",
        /// Firefox.
        Firefox = "firefox",
        /// Opera.
        Opera = "opera",
        /// Safari.
        Safari = "safari",
        /// Samsung Internet.
        Samsung = "samsung",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Why a click is not counted as a human's.
    MachineFlag {
        /// A crawler names itself.
        Crawler = "crawler",
        /// A messenger or network fetches a preview of the link.
        Preview = "preview",
        /// The browser fetches ahead of the visitor.
        Prefetch = "prefetch",
        /// No user agent at all.
        NoAgent = "no_agent",
    }
}

/// A user agent, reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The kind of device.
    pub device: Device,
    /// The family of browser.
    pub browser: Browser,
    /// Set when a machine is asking.
    pub machine: Option<MachineFlag>,
}

/// Fetchers of previews: they ask because somebody posted the link, not because somebody follows it.
const PREVIEWS: [&str; 14] = [
    "facebookexternalhit",
    "facebot",
    "twitterbot",
    "slackbot",
    "slack-imgproxy",
    "discordbot",
    "telegrambot",
    "whatsapp/",
    "linkedinbot",
    "skypeuripreview",
    "pinterestbot",
    "redditbot",
    "embedly",
    "iframely",
];

/// Words with which crawlers and scripts name themselves.
const CRAWLERS: [&str; 24] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "mediapartners",
    "headlesschrome",
    "lighthouse",
    "pagespeed",
    "pingdom",
    "uptime",
    "curl/",
    "wget/",
    "python-requests",
    "python-urllib",
    "go-http-client",
    "okhttp",
    "axios/",
    "node-fetch",
    "undici",
    "java/",
    "libwww",
    "httpclient",
    "scrapy",
    "bytespider",
];

/// Reduces a user agent. `purpose` is `Sec-Purpose` (or the older `Purpose`).
pub fn classify(user_agent: Option<&str>, purpose: Option<&str>) -> Agent {
    // A longer one tells nothing more, and the rest of the text is the sender's to choose.
    let text: String = user_agent.unwrap_or("").chars().take(512).collect::<String>().to_lowercase();
    let has = |word: &str| text.contains(word);
    let machine = if purpose.is_some_and(|purpose| purpose.to_lowercase().contains("prefetch")) {
        Some(MachineFlag::Prefetch)
    } else if text.trim().is_empty() {
        Some(MachineFlag::NoAgent)
    } else if PREVIEWS.iter().any(|name| has(name)) {
        Some(MachineFlag::Preview)
    } else if CRAWLERS.iter().any(|name| has(name)) {
        Some(MachineFlag::Crawler)
    } else {
        None
    };
    let device = if has("ipad") || has("tablet") || (has("android") && !has("mobile")) {
        Device::Tablet
    } else if has("mobi") || has("iphone") || has("android") {
        Device::Mobile
    } else if has("windows") || has("macintosh") || has("x11") || has("linux") || has("cros") {
        Device::Desktop
    } else {
        Device::Unknown
    };
    let browser = if has("edg/") || has("edga/") || has("edgios/") {
        Browser::Edge
    } else if has("opr/") || has("opera") {
        Browser::Opera
    } else if has("samsungbrowser/") {
        Browser::Samsung
    } else if has("firefox/") || has("fxios/") {
        Browser::Firefox
    } else if has("chrome/") || has("crios/") || has("chromium/") {
        Browser::Chrome
    } else if has("safari/") {
        Browser::Safari
    } else {
        Browser::Other
    };
    Agent { device, browser, machine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_apart_coarsely() {
        let check = |text: &str, device: Device, browser: Browser, machine: Option<MachineFlag>| {
            assert_eq!(classify(Some(text), None), Agent { device, browser, machine }, "{text}");
        };
        use {Browser as B, Device as D, MachineFlag as M};
        check("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", D::Desktop, B::Firefox, None);
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Mobile Safari/604.1",
            D::Mobile,
            B::Safari,
            None,
        );
        check("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", D::Desktop, B::Edge, None);
        check("Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Safari/537.36", D::Tablet, B::Chrome, None);
        check("Mozilla/5.0 (compatible; Googlebot/2.1)", D::Unknown, B::Other, Some(M::Crawler));
        check("WhatsApp/2.23", D::Unknown, B::Other, Some(M::Preview));
        check("Slackbot-LinkExpanding 1.0", D::Unknown, B::Other, Some(M::Preview));
        check("", D::Unknown, B::Other, Some(M::NoAgent));
        assert_eq!(classify(None, None).machine, Some(M::NoAgent));
        assert_eq!(classify(Some("Firefox/1"), Some("prefetch;prerender")).machine, Some(M::Prefetch));
        assert_eq!(classify(Some(&"é".repeat(10_000)), None).machine, None);
    }
}
