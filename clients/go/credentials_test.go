package recarena

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
)

// selfSigned writes a certificate for 127.0.0.1, and its key.
func selfSigned(t *testing.T, stem string) (certificate, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: stem},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, is, is, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	return written(t, folder, stem+".pem", pemOf("CERTIFICATE", der)),
		written(t, folder, stem+".key", pemOf("PRIVATE KEY", private))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func written(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	certificate, key := selfSigned(t, "one")
	_, other := selfSigned(t, "other")
	folder := t.TempDir()
	locked := written(t, folder, "locked.key", pemOf("ENCRYPTED PRIVATE KEY", []byte("secret")))
	der := written(t, folder, "ca.der", "\x30\x82")
	for name, test := range map[string]struct{ ca, certificate, key, want string }{
		"a file that is not there": {"nowhere.pem", "", "", "nowhere.pem cannot be read: no such file"},
		"a file in another form":   {der, "", "", "openssl x509 -inform der"},
		"no key":                   {"", certificate, "", "the key is missing"},
		"no certificate":           {"", "", key, "the certificate is missing"},
		"a key with a password":    {"", certificate, locked, "locked.key has a password"},
		"another's key":            {"", certificate, other, "no certificate and its key"},
	} {
		_, err := LoadTLS(test.ca, test.certificate, test.key)
		var unusable *CredentialsError
		if !errors.As(err, &unusable) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q is wanted, it says %v", name, test.want, err)
		}
	}
}

func TestATokenAndACertificateAreShownOverTLS(t *testing.T) {
	certificate, key := selfSigned(t, "server")
	mine, secret := selfSigned(t, "mine")
	own, err := LoadTLS(mine, certificate, key) // a server has the same, and trusts the other
	if err != nil {
		t.Fatal(err)
	}
	own.ClientCAs, own.ClientAuth = own.RootCAs, tls.RequireAndVerifyClientCert
	server := newScriptedServer(t, credentials.NewTLS(own))
	config, err := LoadTLS(certificate, mine, secret)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, server.address, &scripted{}, WithTLS(config), WithToken("rct_secret"))
	session := server.accept(t)
	if shown := session.metadata.Get("authorization"); len(shown) != 1 || shown[0] != "Bearer rct_secret" {
		t.Errorf("it shows %v", shown)
	}
}

func TestAServerOfAnotherAuthorityIsNotTalkedTo(t *testing.T) {
	certificate, key := selfSigned(t, "server")
	other, _ := selfSigned(t, "other")
	own, err := LoadTLS("", certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := newScriptedServer(t, credentials.NewTLS(own))
	config, err := LoadTLS(other, "", "")
	if err != nil {
		t.Fatal(err)
	}
	patient := WithRetryFor(300 * time.Millisecond)
	err = serve(t, server.address, &scripted{}, WithTLS(config), patient).ended()
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("Serve returned %v", err)
	}
}
