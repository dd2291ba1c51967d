package translog

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/waybill-dev/waybill/stages/internal/durable"
)

const pemType = "PRIVATE KEY"

// LoadKey reads an Ed25519 key in PKCS#8 PEM, as openssl writes it. A missing
// file is made, readable by its owner alone. A file that others may read is
// refused.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the signing key %s may be read by others (mode %04o); chmod 600 it, or make a new one if it leaked", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("%s holds no signing key; want an Ed25519 key in PKCS#8 PEM (openssl genpkey -algorithm ed25519)", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s: want Ed25519, found %T", path, key)
	}
	return private, nil
}

// createKey makes a key. Of several processes that do so at the same time one
// wins, and all use its key.
func createKey(path string) (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(dir, ".key-*.tmp")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if err := pem.Encode(temp, &pem.Block{Type: pemType, Bytes: der}); err != nil {
		return nil, err
	}
	if err := temp.Sync(); err != nil {
		return nil, err
	}
	switch err := os.Link(temp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return LoadKey(path)
	case err != nil:
		return nil, err
	}
	return private, durable.SyncDirs(dir)
}

// signer signs notes with an Ed25519 key under a log's origin.
type signer struct {
	verifier note.Verifier
	vkey     string
	key      ed25519.PrivateKey
}

func newSigner(origin string, key ed25519.PrivateKey) (*signer, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("%q cannot be the origin of a log; want a name like example.com/log without spaces and plus signs", origin)
	}
	return &signer{v, vkey, key}, nil
}

func (s *signer) Name() string                    { return s.verifier.Name() }
func (s *signer) KeyHash() uint32                 { return s.verifier.KeyHash() }
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// ReadVerifier reads a verifier key (C2SP vkey) from a file that holds exactly one
// line, or takes it directly if it is one.
func ReadVerifier(keyOrFile string) (note.Verifier, string, error) {
	if v, err := note.NewVerifier(keyOrFile); err == nil {
		return v, keyOrFile, nil
	}
	text, err := os.ReadFile(keyOrFile)
	if err != nil {
		return nil, "", fmt.Errorf("%q is neither a verifier key nor a file: %w", keyOrFile, err)
	}
	vkey, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, "", fmt.Errorf("%s: a verifier key is one line with a line feed at its end", keyOrFile)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", keyOrFile, err)
	}
	return v, vkey, nil
}
