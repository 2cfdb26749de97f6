//! The form of a JSON Web Token.

use crate::bearer::BearerToken;
use crate::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The algorithms that can be accepted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
    Hs256,
}

impl Algorithm {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            "HS256" => Some(Self::Hs256),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token taken apart; nothing in it is to be believed before the signature is checked.
pub(crate) struct UncheckedToken<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    claims: &'a str,
}

impl<'a> UncheckedToken<'a> {
    pub(crate) fn parse(token: &'a BearerToken) -> Result<Self, Refusal> {
        let text = token.reveal();
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        if claims.contains('.') {
            return Err(Refusal::Malformed);
        }
        let header: Header = decode_json(header)?;
        if header.crit.is_some() {
            return Err(Refusal::Algorithm);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(Refusal::Algorithm)?;
        Ok(Self {
            algorithm,
            key_id: header.kid,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            claims,
        })
    }

    /// The claims; call it after the signature was found good.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        decode_json(self.claims)
    }
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

fn decode_json<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&decode(text)?).map_err(|_| Refusal::Malformed)
}
