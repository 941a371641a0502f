//! A registry that wants to see a certificate of its clients.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

use crate::support::fixture::project_naming;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a certificate")
}

/// A certificate for 127.0.0.1, and its key.
fn signed_by(authority: &Authority) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    (params.signed_by(&key, authority).expect("a certificate"), key)
}

/// Accepts one connection, answers 404, and tells the certificate that was shown, if the handshake went
/// well.
fn serve(listener: &TcpListener, config: ServerConfig) -> Option<Vec<u8>> {
    let (mut socket, _) = listener.accept().expect("a client");
    let mut connection = ServerConnection::new(Arc::new(config)).expect("a sound configuration");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).ok()?;
    }
    let shown = connection.peer_certificates()?.first()?.to_vec();
    let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let mut stream = Stream::new(&mut connection, &mut socket);
    // The request, which fits one read. An answer before it would be an error.
    stream.read(&mut [0; 4 << 10]).ok().filter(|count| *count > 0)?;
    stream.write_all(answer).ok()?;
    Some(shown)
}

#[test]
fn a_registry_is_shown_the_certificate_that_is_configured_for_it() {
    let authority = authority();
    let (certificate, key) = signed_by(&authority);
    let (client, client_key) = signed_by(&authority);
    let both = format!("{}{}", client.pem(), client_key.serialize_pem());
    for (lines, is_shown) in [
        ("client-certificate = \"client.pem\"\nclient-key = \"client.key\"", true),
        ("client-certificate = \"both.pem\"", true),
        ("", false),
    ] {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
        let server_key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], server_key)
            .expect("a certificate and its key");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let host = listener.local_addr().expect("a bound socket").to_string();
        let server = thread::spawn(move || serve(&listener, config));
        let project = project_naming(&[("app", &format!("{host}/app:1"))]);
        let text =
            format!("network.tries = 1\n[registries.\"{host}\"]\nca = \"ca.pem\"\n{lines}\n");
        let path = project.write_config(&text);
        for (name, pem) in [
            ("ca.pem", &authority.pem()),
            ("client.pem", &client.pem()),
            ("client.key", &client_key.serialize_pem()),
            ("both.pem", &both),
        ] {
            fs::write(path.with_file_name(name), pem).expect("it is written");
        }

        let told = project.run(&["lock"]).exits(1).stderr;

        let shown = server.join().expect("the server ends");
        assert_eq!(shown.as_deref(), is_shown.then_some(&**client.der()), "{told}");
        assert_eq!(told.contains("answered with 404"), is_shown, "{told}");
    }
}
