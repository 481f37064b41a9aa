//go:build unix

package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
)

// pipes are named pipes, each in place of a file. A writer gives each reader the
// text, and counts the readers.
type pipes struct {
	t     *testing.T
	dir   string
	reads map[string]*atomic.Int64 // by name
}

// make makes a pipe and returns its path. There is another pipe under that path
// once a reader has come, so that no reader gets the text of two.
func (p *pipes) make(name, text string) string {
	path, count := filepath.Join(p.dir, name), new(atomic.Int64)
	fresh := func(path string) {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			p.t.Error(err)
		}
	}
	fresh(path)
	p.reads[name] = count
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			f, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for a reader
			if err != nil {
				p.t.Error(err)
				return
			}
			select {
			case <-stop:
				f.Close()
				return
			default:
			}
			count.Add(1)
			fresh(path + ".next")
			if err := os.Rename(path+".next", path); err != nil {
				p.t.Error(err)
			}
			f.WriteString(text)
			f.Close()
		}
	}()
	p.t.Cleanup(func() {
		close(stop)
		if f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
			<-done
			f.Close()
		}
	})
	return path
}

// Several settings name the same file here, and it is read once all the same.
func TestEachFileIsReadOnce(t *testing.T) {
	p := &pipes{t: t, dir: t.TempDir(), reads: map[string]*atomic.Int64{}}
	token, both := p.make("token", "s3cret\n"), p.make("pem", selfSigned(t))
	withTLS := TargetOptions{URL: "https://127.0.0.1/a", BearerTokenFile: token, TLS: TLSOptions{CAFile: both, CertFile: both, KeyFile: both}}
	other := withTLS
	other.URL = "https://127.0.0.1/b"
	user := TargetOptions{URL: "http://127.0.0.1/c", BasicAuth: BasicAuthOptions{Username: "u", PasswordFile: token}}
	file := p.make("c.json", `{"start_join": ["a"]}`)
	conf, err := Compile(Input{
		Defaults: changed(func(o *Options) {
			o.Targets = []TargetOptions{withTLS, other, user}
			o.HTTPTokenFile = token
			o.TagsFile, o.KeyringFile = p.make("tags", `{"a": "b"}`), p.make("keyring", `["`+someKey+`"]`)
		}),
		Files: []string{file, file},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range p.reads {
		testkit.Want(t, "reads of "+name, n.Load(), 1)
	}
	testkit.Want(t, "a file that is named twice is applied twice", conf.StartJoin, []string{"a", "a"})
	for _, target := range conf.Handlers.Targets[:2] {
		testkit.Want(t, target.Name, target.Header.Get("Authorization"), "Bearer s3cret")
		testkit.Want(t, "certificates of "+target.Name, len(target.TLS.Certificates), 1)
	}
}

// selfSigned is a certificate and its key, in PEM form.
func selfSigned(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(cert) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}
