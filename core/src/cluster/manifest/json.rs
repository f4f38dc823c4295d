//! The shape of the files: what serde reads and writes.

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::super::authorisation::{Authorisation, ClusterId};
use super::super::definition::{NAME_BYTES_MAX, UUID_BYTES_MAX};
use super::super::json::{Encoding, InHex, List, Text, exactly, from_text, printable};
use super::super::shares::{VALIDATORS_MAX, Validator};
use super::super::{ManifestError, OPERATORS_MAX, OperatorIndex};
use super::{AuthorisationFile, Document, DocumentError, Operator, VERSION};
use crate::record::Signed;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentJson {
    version: Text<16>,
    cluster: ClusterJson,
    name: Text<NAME_BYTES_MAX>,
    threshold: usize,
    require_authorisation: bool,
    operators: List<OperatorJson, OPERATORS_MAX>,
    validators: List<ValidatorJson, VALIDATORS_MAX>,
    hash: Hex<32>,
}

/// Either a lock's uuid and hash, or an id of its own.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClusterJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Text<UUID_BYTES_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_hash: Option<Hex<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Hex<32>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorJson {
    index: usize,
    enr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Hex<20>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorisation: Option<AuthorisationJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthorisationJson {
    Combined(Hex<96>),
    Shares(List<Hex<96>, VALIDATORS_MAX>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidatorJson {
    public_key: Hex<48>,
    shares: List<Hex<48>, OPERATORS_MAX>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorisationFileJson {
    version: Text<16>,
    cluster: ClusterJson,
    operator: u8,
    enr: String,
    authorisation: AuthorisationJson,
}

/// So many bytes, in the file as 0x and hex digits.
#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&InHex::encode(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = 2 * N;
        from_text(deserializer, |text| match text.starts_with("0x") && text.len() == 2 + digits {
            true => exactly::<InHex, N>(text).map(Self),
            false => {
                Err(format!("expected 0x and {digits} hex digits, found {} characters", text.len()))
            }
        })
    }
}

/// Reads JSON; what is wrong is looked for once more, with the path of its field.
fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(json).map_err(|_| {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
        match read {
            Err(error) => DocumentError::Json {
                field: printable(&error.path().to_string()),
                why: printable(&error.inner().to_string()),
            },
            // Read whole, but something follows.
            Ok(_) => DocumentError::Json {
                field: String::new(),
                why: reader.end().err().map_or_else(String::new, |why| why.to_string()),
            },
        }
    })
}

fn known(version: &Text<16>) -> Result<(), DocumentError> {
    match version.0.as_str() {
        VERSION => Ok(()),
        other => Err(DocumentError::Version(other.into())),
    }
}

fn record(operator: usize, enr: &str) -> Result<Signed, DocumentError> {
    Signed::from_text(enr).map_err(|why| DocumentError::Enr { operator, why })
}

/// The content and the hash that the file states.
pub(super) fn read(json: &[u8]) -> Result<(Document, [u8; 32]), DocumentError> {
    let read: DocumentJson = parse(json)?;
    known(&read.version)?;
    let count = read.operators.0.len();
    if count == 0 {
        return Err(ManifestError::OperatorCount(0).into());
    }
    if !(1..=count).contains(&read.threshold) {
        let threshold = read.threshold;
        return Err(ManifestError::Threshold { threshold, operators: count }.into());
    }
    let operators = read.operators.0.into_iter().enumerate();
    let operators = operators.map(|(place, operator)| {
        if operator.index != place {
            return Err(DocumentError::Index { place, index: operator.index });
        }
        Ok(Operator {
            record: record(place, &operator.enr)?,
            address: operator.address.map(|address| address.0),
            authorisation: operator.authorisation.map(Into::into),
        })
    });
    let operators = operators.collect::<Result<_, _>>()?;
    let validators = read.validators.0.into_iter().map(|validator| Validator {
        public_key: validator.public_key.0,
        shares: validator.shares.0.into_iter().map(|share| share.0).collect(),
    });
    let document = Document {
        cluster: read.cluster.try_into()?,
        name: read.name.0,
        threshold: read.threshold,
        require_authorisation: read.require_authorisation,
        operators,
        validators: validators.collect(),
    };
    Ok((document, read.hash.0))
}

pub(super) fn write(document: &Document, hash: &[u8; 32]) -> Vec<u8> {
    let operators = document.operators.iter().enumerate().map(|(index, operator)| OperatorJson {
        index,
        enr: operator.record.to_text(),
        address: operator.address.map(Hex),
        authorisation: operator.authorisation.as_ref().map(Into::into),
    });
    let validators = document.validators.iter().map(|validator| ValidatorJson {
        public_key: Hex(validator.public_key),
        shares: List(validator.shares.iter().copied().map(Hex).collect()),
    });
    to_file(&DocumentJson {
        version: Text(VERSION.into()),
        cluster: (&document.cluster).into(),
        name: Text(document.name.clone()),
        threshold: document.threshold,
        require_authorisation: document.require_authorisation,
        operators: List(operators.collect()),
        validators: List(validators.collect()),
        hash: Hex(*hash),
    })
}

pub(super) fn read_authorisation(json: &[u8]) -> Result<AuthorisationFile, DocumentError> {
    let read: AuthorisationFileJson = parse(json)?;
    known(&read.version)?;
    Ok(AuthorisationFile {
        cluster: read.cluster.try_into()?,
        operator: OperatorIndex(read.operator),
        record: record(usize::from(read.operator), &read.enr)?,
        authorisation: read.authorisation.into(),
    })
}

pub(super) fn write_authorisation(file: &AuthorisationFile) -> Vec<u8> {
    to_file(&AuthorisationFileJson {
        version: Text(VERSION.into()),
        cluster: (&file.cluster).into(),
        operator: file.operator.0,
        enr: file.record.to_text(),
        authorisation: (&file.authorisation).into(),
    })
}

fn to_file(content: &impl Serialize) -> Vec<u8> {
    let mut file = serde_json::to_vec_pretty(content).expect("strings, numbers, lists, structs");
    file.push(b'\n');
    file
}

impl TryFrom<ClusterJson> for ClusterId {
    type Error = DocumentError;

    fn try_from(json: ClusterJson) -> Result<Self, DocumentError> {
        match json {
            ClusterJson { uuid: Some(uuid), lock_hash: Some(hash), id: None } => {
                Ok(Self::Lock { uuid: uuid.0, hash: hash.0 })
            }
            ClusterJson { uuid: None, lock_hash: None, id: Some(id) } => Ok(Self::Own(id.0)),
            _ => Err(DocumentError::Json {
                field: "cluster".into(),
                why: "expected uuid and lock_hash, or id alone".into(),
            }),
        }
    }
}

impl From<&ClusterId> for ClusterJson {
    fn from(id: &ClusterId) -> Self {
        match id {
            ClusterId::Lock { uuid, hash } => {
                Self { uuid: Some(Text(uuid.clone())), lock_hash: Some(Hex(*hash)), id: None }
            }
            ClusterId::Own(id) => Self { id: Some(Hex(*id)), ..Self::default() },
        }
    }
}

impl From<AuthorisationJson> for Authorisation {
    fn from(json: AuthorisationJson) -> Self {
        match json {
            AuthorisationJson::Combined(signature) => Self::Combined(signature.0),
            AuthorisationJson::Shares(all) => {
                Self::Each(all.0.into_iter().map(|it| it.0).collect())
            }
        }
    }
}

impl From<&Authorisation> for AuthorisationJson {
    fn from(authorisation: &Authorisation) -> Self {
        match authorisation {
            Authorisation::Combined(signature) => Self::Combined(Hex(*signature)),
            Authorisation::Each(all) => Self::Shares(List(all.iter().copied().map(Hex).collect())),
        }
    }
}
