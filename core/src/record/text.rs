//! The text form of a record: `enr:` and URL-safe base64 without padding (EIP-778, R67).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::RecordError;

const PREFIX: &str = "enr:";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::from(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, RecordError> {
    let payload = text.strip_prefix(PREFIX).ok_or(RecordError::Prefix)?;
    URL_SAFE_NO_PAD.decode(payload).map_err(|error| RecordError::Base64(error.to_string()))
}
