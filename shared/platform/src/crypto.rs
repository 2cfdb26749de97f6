//! WebCrypto: digests, signatures, encryption.

use js_sys::{Array, Object, Reflect, Uint8Array};
use m23_archive::KEY;
use m23_archive::seal::{NONCE, Sealed};
use m23_auth::{SignatureCheckFailed, VerificationKey};
use m23_engine::CipherFailed;
use m23_ports::DigestFailed;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};

/// SHA-256 of `bytes`.
///
/// # Errors
/// [`DigestFailed`] when the platform refuses.
pub(crate) async fn sha256(bytes: &[u8]) -> Result<[u8; 32], DigestFailed> {
    digest(bytes)
        .await
        .map_err(|error| DigestFailed(said(&error)))
}

async fn digest(bytes: &[u8]) -> Result<[u8; 32], JsValue> {
    // By its standard the call takes the bytes before it returns: a copy here would be one more to collect.
    let promise = subtle()?.digest_with_str_and_u8_array("SHA-256", bytes)?;
    let digest = Uint8Array::new(&JsFuture::from(promise).await?).to_vec();
    digest
        .try_into()
        .map_err(|_| JsValue::from_str("a digest of another length"))
}

/// HMAC-SHA256 of `bytes`.
pub(crate) async fn hmac_sha256(key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, DigestFailed> {
    let work = async {
        let algorithm = object(&[("name", "HMAC"), ("hash", "SHA-256")])?;
        let data: Object = Uint8Array::from(key).unchecked_into();
        let uses = Array::of1(&"sign".into());
        let import = subtle()?.import_key_with_object("raw", &data, &algorithm, false, &uses)?;
        let key: CryptoKey = JsFuture::from(import).await?.unchecked_into();
        let promise = subtle()?.sign_with_str_and_u8_array("HMAC", &key, bytes)?;
        JsFuture::from(promise).await
    };
    let mac = work.await.map_err(|error| DigestFailed(said(&error)))?;
    Ok(Uint8Array::new(&mac).to_vec())
}

/// Checks a signature; `Err` only when the check itself cannot be made.
pub(crate) async fn verify(
    key: VerificationKey<'_>,
    signed: &[u8],
    signature: &[u8],
) -> Result<bool, SignatureCheckFailed> {
    check(key, signed, signature)
        .await
        .map_err(|error| SignatureCheckFailed(said(&error)))
}

async fn check(key: VerificationKey<'_>, signed: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
    let subtle = subtle()?;
    let (format, data, algorithm) = importable(key)?;
    let uses = Array::of1(&"verify".into());
    let import = subtle.import_key_with_object(format, &data, &algorithm, false, &uses)?;
    let key: CryptoKey = JsFuture::from(import).await?.unchecked_into();
    let signature = Uint8Array::from(signature);
    let signed = Uint8Array::from(signed);
    let verdict = subtle.verify_with_object_and_buffer_source_and_buffer_source(
        &algorithm, &key, &signature, &signed,
    )?;
    Ok(JsFuture::from(verdict).await?.is_truthy())
}

/// A key's format, its data, and the one algorithm it serves.
fn importable(key: VerificationKey<'_>) -> Result<(&'static str, Object, Object), JsValue> {
    match key {
        VerificationKey::Es256 { x, y } => Ok((
            "jwk",
            object(&[("kty", "EC"), ("crv", "P-256"), ("x", x), ("y", y)])?,
            object(&[
                ("name", "ECDSA"),
                ("namedCurve", "P-256"),
                ("hash", "SHA-256"),
            ])?,
        )),
        VerificationKey::Rs256 { n, e } => Ok((
            "jwk",
            object(&[("kty", "RSA"), ("n", n), ("e", e)])?,
            object(&[("name", "RSASSA-PKCS1-v1_5"), ("hash", "SHA-256")])?,
        )),
        VerificationKey::Hs256(secret) => Ok((
            "raw",
            Uint8Array::from(secret.reveal().as_bytes()).unchecked_into(),
            object(&[("name", "HMAC"), ("hash", "SHA-256")])?,
        )),
    }
}

/// AES-256-GCM: ciphertext and tag.
pub(crate) async fn encrypt(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    bytes: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, CipherFailed> {
    let work = async {
        let data = Uint8Array::from(bytes);
        let promise = subtle()?.encrypt_with_object_and_js_u8_array(
            &gcm(nonce, context)?,
            &gcm_key(key, "encrypt").await?,
            &data,
        )?;
        JsFuture::from(promise).await
    };
    let sealed = work.await.map_err(|error| CipherFailed(said(&error)))?;
    Ok(Uint8Array::new(&sealed).to_vec())
}

/// The reverse; `None` when the tag is not that of this key, these bytes and this context.
pub(crate) async fn decrypt(
    key: &[u8; KEY],
    sealed: Sealed<'_>,
    context: &[u8],
) -> Result<Option<Vec<u8>>, CipherFailed> {
    let work = async {
        let data = Uint8Array::from(sealed.body);
        let promise = subtle()?.decrypt_with_object_and_js_u8_array(
            &gcm(sealed.nonce, context)?,
            &gcm_key(key, "decrypt").await?,
            &data,
        )?;
        JsFuture::from(promise).await
    };
    match work.await {
        Ok(opened) => Ok(Some(Uint8Array::new(&opened).to_vec())),
        Err(error) if is_operation_error(&error) => Ok(None),
        Err(error) => Err(CipherFailed(said(&error))),
    }
}

async fn gcm_key(key: &[u8; KEY], used_for: &str) -> Result<CryptoKey, JsValue> {
    let data: Object = Uint8Array::from(key.as_slice()).unchecked_into();
    let uses = Array::of1(&used_for.into());
    let import = subtle()?.import_key_with_str("raw", &data, "AES-GCM", false, &uses)?;
    Ok(JsFuture::from(import).await?.unchecked_into())
}

fn gcm(nonce: &[u8; NONCE], context: &[u8]) -> Result<Object, JsValue> {
    let algorithm = object(&[("name", "AES-GCM")])?;
    for (name, bytes) in [("iv", nonce.as_slice()), ("additionalData", context)] {
        Reflect::set(&algorithm, &name.into(), &Uint8Array::from(bytes))?;
    }
    Ok(algorithm)
}

/// How WebCrypto says that a tag does not fit.
fn is_operation_error(error: &JsValue) -> bool {
    Reflect::get(error, &"name".into()).is_ok_and(|name| name == "OperationError")
}

fn object(entries: &[(&str, &str)]) -> Result<Object, JsValue> {
    let object = Object::new();
    for (name, value) in entries {
        Reflect::set(&object, &(*name).into(), &(*value).into())?;
    }
    Ok(object)
}

fn subtle() -> Result<SubtleCrypto, JsValue> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(scope.crypto()?.subtle())
}

/// What a JavaScript error says of itself.
fn said(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    )
}
