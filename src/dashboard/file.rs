//! One embedded file, in the form that fits the request: as it is, or as it was compressed when the page was built.

use std::borrow::Cow;

use bytes::Bytes;
use poem::{
    Request, Response,
    http::{HeaderMap, header},
};
use rust_embed::RustEmbed;

/// What `npm run build` left, with `.br` and `.gz` beside what is worth compressing; empty without Node.js.
#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// A file of the page.
pub(super) struct EmbeddedFile {
    path: String,
    plain: rust_embed::EmbeddedFile,
}

impl EmbeddedFile {
    /// The file at a path of the build; none of the compressed ones, which are forms of others.
    pub(super) fn find(path: &str) -> Option<Self> {
        if path.ends_with(".br") || path.ends_with(".gz") {
            return None;
        }
        Some(Self { path: path.to_owned(), plain: Files::get(path)? })
    }

    /// The file, and for how long it may be kept.
    pub(super) fn answer(self, request: &Request, kept: &'static str) -> Response {
        let compressed = accepted(request.headers())
            .find_map(|(encoding, ending)| Some((encoding, Files::get(&format!("{}.{ending}", self.path))?)));
        // Each form has a tag of its own: they are not the same bytes.
        let hash = hex::encode(&self.plain.metadata.sha256_hash()[..12]);
        let mut response = Response::builder()
            .content_type(content_type(&self.path))
            .header(header::CACHE_CONTROL, kept)
            .header(header::VARY, "Accept-Encoding");
        let (tag, data) = match compressed {
            Some((encoding, file)) => {
                response = response.header(header::CONTENT_ENCODING, encoding);
                (format!("\"{hash}-{encoding}\""), file.data)
            }
            None => (format!("\"{hash}\""), self.plain.data),
        };
        response.header(header::ETAG, tag).body(match data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        })
    }
}

/// The forms that a client takes, best first, each with the ending of its file.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = (&'static str, &'static str)> {
    let taken: Vec<String> = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|choice| !is_refused(choice))
        .filter_map(|choice| Some(choice.split(';').next()?.trim().to_ascii_lowercase()))
        .collect();
    [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(move |(encoding, _)| taken.iter().any(|known| known == encoding))
}

/// Whether a choice is of no weight, such as `br;q=0`.
fn is_refused(choice: &str) -> bool {
    let mut parameters = choice.split(';').skip(1).map(str::trim);
    let weight = parameters.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
    weight.and_then(|weight| weight.trim().parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_gets_the_best_form_that_it_takes() {
        for (asked, forms) in [
            ("gzip, deflate, br", &["br", "gzip"][..]),
            ("gzip;q=1.0, br;q=0", &["gzip"][..]),
            ("GZIP", &["gzip"][..]),
            ("identity", &[][..]),
            ("", &[][..]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(asked));
            let taken: Vec<_> = accepted(&headers).map(|(encoding, _)| encoding).collect();
            assert_eq!(taken, forms, "{asked}");
        }
    }

    #[test]
    fn nothing_is_found_beside_the_build() {
        for path in ["", "../Cargo.toml", "/etc/passwd", "index.html.br", "assets/../../Cargo.toml"] {
            assert!(EmbeddedFile::find(path).is_none(), "{path}");
        }
    }
}
