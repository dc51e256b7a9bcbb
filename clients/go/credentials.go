package recarena

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// LoadTLS makes what [WithTLS] takes from files in PEM form.
//
// It trusts the authority in the file ca, or those of the system where ca is empty. With
// certificate and key, which go together, the recommender shows who it is. The error is a
// [CredentialsError].
func LoadTLS(ca, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := read(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, unusable("%s holds no certificate in PEM form:"+
				" openssl x509 -inform der turns one in DER form into it", ca)
		}
	}
	switch {
	case certificate == "" && key == "":
		return config, nil
	case certificate == "":
		return nil, unusable("the certificate is missing: a certificate and its key go together")
	case key == "":
		return nil, unusable("the key is missing: a certificate and its key go together")
	}
	shown, err := read(certificate)
	if err != nil {
		return nil, err
	}
	secret, err := read(key)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(secret, []byte("ENCRYPTED")) {
		return nil, unusable("%s has a password: take it off with openssl pkey", key)
	}
	pair, err := tls.X509KeyPair(shown, secret)
	if err != nil {
		return nil, unusable("%s and %s are no certificate and its key, in PEM form:"+
			" see which are with openssl x509 -in and openssl pkey -in", certificate, key)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, unusable("%s cannot be read: %v", path, err)
	}
	return text, nil
}

func unusable(format string, values ...any) error {
	return &CredentialsError{fmt.Sprintf(format, values...)}
}
