//! What all REST routes share: how they are grouped, how bodies come in, and the answers beside 200.
//!
//! A JSON body is bounded, and refused with the place of what is wrong: poem-openapi's own `Json` says what it
//! expected but not where, serde with `serde_path_to_error` says both.

use poem::{IntoResponse, Request, RequestBody, Response, error::ReadBodyError, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Tags,
    payload::Json,
    registry::{MetaHeader, MetaMediaType, MetaRequest, MetaResponse, MetaResponses, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Code, Error, Result},
    wire::{Expected, List},
};

/// How the specification groups operations.
#[derive(Tags)]
pub enum Tag {
    /// Where Git hosts post.
    Webhooks,
    /// Projects and their webhook secrets.
    Projects,
    /// What Git hosts have posted, and what became of it.
    Deliveries,
    /// The event log and its stream.
    Events,
    /// The documents of a repository that are tracked.
    Artifacts,
    /// What clashes: documents that build on what changed or is gone.
    Conflicts,
    /// What there is to do, and who holds it.
    Work,
    /// What has to hold before a phase or a work item is complete.
    Gates,
    /// Who is at what.
    Agents,
    /// Executions of CI pipelines, and what agents run.
    Runs,
    /// The tenant, its principals and their keys.
    Accounts,
    /// Who called which tool, and what happened to who may do what.
    Audit,
    /// Health and metrics.
    Operation,
}

/// The largest body that is taken.
const MAX_BYTES: usize = 1024 * 1024;
const CONTENT_TYPE: &str = "application/json";

/// A JSON body that was understood. An empty one counts as `{}`.
pub struct Input<T>(pub T);

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Input<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: T::IS_REQUIRED })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes_limit(MAX_BYTES).await.map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => {
                Error::new(Code::PayloadTooLarge, "the body is larger than 1 MiB")
            }
            error => Error::invalid("the body did not arrive whole").because(error),
        })?;
        if bytes.is_empty() {
            return Ok(Self(parse(b"{}")?));
        }
        let content_type = request.content_type().unwrap_or_default();
        if content_type.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case(CONTENT_TYPE)) {
            let why = "send JSON, with `Content-Type: application/json`";
            return Err(Error::new(Code::UnsupportedMediaType, why).into());
        }
        Ok(Self(parse(&bytes)?))
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(misfit)?;
    deserializer
        .end()
        .map_err(|error| Error::invalid(format!("the body is not one JSON document: {error}")))?;
    Ok(value)
}

/// Reads JSON that has been parsed already, such as a tool's arguments.
///
/// # Errors
/// `invalid_request`, pointing at what does not fit.
pub(crate) fn read<T: DeserializeOwned>(json: Value) -> Result<T> {
    serde_path_to_error::deserialize(json).map_err(misfit)
}

/// Reads a field of a patch that may also be `null`, so that it is told from one that was left out:
/// `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// The value's.
pub(crate) fn given<'de, T, D>(field: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(field).map(Some)
}

/// What is wrong with JSON, and where.
fn misfit(error: serde_path_to_error::Error<serde_json::Error>) -> Error {
    let pointer = pointer(error.path());
    let cause = error.into_inner();
    let (line, column) = (cause.line(), cause.column());
    let why = cause.to_string();
    let why = why.trim_end_matches(&format!(" at line {line} column {column}"));
    match pointer {
        _ if !cause.is_data() => Error::invalid(format!("the body is not JSON: {cause}")),
        None => Error::invalid(why.to_owned()),
        Some(pointer) => Error::invalid_field(pointer, why),
    }
}

/// A path as a JSON pointer (RFC 6901); none for the document itself.
fn pointer(path: &serde_path_to_error::Path) -> Option<String> {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    (!pointer.is_empty()).then_some(pointer)
}

/// 201 with the new thing and where it is.
#[derive(ApiResponse)]
pub enum Created<T: ParseFromJSON + ToJSON> {
    /// It was made.
    #[oai(status = 201)]
    At(
        Json<T>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

impl<T: ParseFromJSON + ToJSON> Created<T> {
    /// The answer for something new at `location`.
    pub fn at(location: String, new: T) -> Self {
        Self::At(Json(new), location)
    }
}

/// 202: it is going to be done.
#[derive(ApiResponse)]
pub enum Accepted<T: ParseFromJSON + ToJSON> {
    /// It is going to be done.
    #[oai(status = 202)]
    Later(Json<T>),
}

/// 200 with a page of a list; the `Link` header leads to the next one.
pub struct Listed<T: ParseFromJSON + ToJSON>(pub List<T>);

/// Where the next page begins, on its way to the `Link` header.
#[derive(Clone)]
pub struct NextPage(pub String);

impl<T: ParseFromJSON + ToJSON> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let next = self.0.next_cursor.clone().map(NextPage);
        let mut response = Json(self.0).into_response();
        if let Some(next) = next {
            response.extensions_mut().insert(next);
        }
        response
    }
}

impl<T: ParseFromJSON + ToJSON> ApiResponse for Listed<T> {
    fn meta() -> MetaResponses {
        let link = header_of::<String>("Link", "`<…>; rel=\"next\"`: the next page, if there is one.", false);
        ok_with::<List<T>>("A page of the list.", link)
    }

    fn register(registry: &mut Registry) {
        List::<T>::register(registry);
    }
}

/// 200 with something that has a version; `ETag` carries it.
pub struct Versioned<T: ParseFromJSON + ToJSON> {
    /// What is shown.
    pub body: T,
    /// Its version.
    pub version: i64,
}

impl<T: ParseFromJSON + ToJSON> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        Json(self.body).with_header(header::ETAG, format!("\"{}\"", self.version)).into_response()
    }
}

impl<T: ParseFromJSON + ToJSON> ApiResponse for Versioned<T> {
    fn meta() -> MetaResponses {
        let about = "The version that is shown; send it as `If-Match` with a change.";
        ok_with::<T>("As it is.", header_of::<String>("ETag", about, true))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

fn ok_with<T: Type>(description: &'static str, header: MetaHeader) -> MetaResponses {
    let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema: T::schema_ref() }];
    let headers = vec![header];
    let status = Some(200);
    MetaResponses {
        responses: vec![MetaResponse { description, status, status_range: None, content, headers }],
    }
}

fn header_of<T: Type>(name: &str, about: &str, required: bool) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        required,
        deprecated: false,
        schema: T::schema_ref(),
    }
}

/// Reads `If-Match` (RFC 9110): the versions that a change is meant for.
pub fn if_match(header: Option<String>) -> Expected {
    let Some(header) = header.filter(|header| header.trim() != "*") else { return Expected::Any };
    // A tag that is not ours, or a weak one, fits no version.
    let version = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Expected::One(header.split(',').filter_map(version).collect())
}

/// 204: it is done, and there is nothing to say.
#[derive(ApiResponse)]
pub enum NoContent {
    /// It is done.
    #[oai(status = 204)]
    Done,
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only the errors matter here")]
        ship_to: Vec<String>,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let cases: [(&[u8], Option<&str>, &str); 5] = [
            (br#"{"shipTo": 7}"#, Some("/shipTo"), "expected a sequence"),
            (br#"{"shipTo": ["a", 7]}"#, Some("/shipTo/1"), "expected a string"),
            (br#"{"colour": 1}"#, Some("/colour"), "unknown field `colour`"),
            (b"{}", None, "missing field `shipTo`"),
            (b"{", None, "not JSON"),
        ];
        for (json, pointer, words) in cases {
            let error = parse::<Order>(json).expect_err("refused");
            assert_eq!(error.fields.first().map(|field| field.pointer.as_str()), pointer);
            assert!(error.detail.contains(words), "{}", error.detail);
        }
    }
}
