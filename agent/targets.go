package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"agentctl/handler"
)

// TargetOptions is one of the "targets" of a configuration file. The zero value
// of each field but URL means its default.
type TargetOptions struct {
	Name            string            `config:"name"`
	Events          string            `config:"events"` // serf's filter grammar; the preset's, or all
	Preset          string            `config:"preset"`
	URL             string            `config:"url,secret"`
	Method          string            `config:"method"`
	Headers         map[string]string `config:"headers,secret"`
	Timeout         time.Duration     `config:"timeout"`
	DoneCodes       []int             `config:"done_codes"`
	RetryCodes      []int             `config:"retry_codes"`
	BuryCodes       []int             `config:"bury_codes"`
	TLS             TLSOptions        `config:"tls"`
	BasicAuth       BasicAuthOptions  `config:"basic_auth"`
	BearerTokenFile string            `config:"bearer_token_file"`

	// What is known but not done yet: Validate refuses it.

	Body        string        `config:"body"`
	Concurrency int           `config:"concurrency"`
	OrderKey    string        `config:"order_key"`
	Collapse    bool          `config:"collapse"`
	MaxAge      time.Duration `config:"max_age"`
	Flush       FlushOptions  `config:"flush"`
}

// TLSOptions say how an https target is trusted, and what it is shown.
type TLSOptions struct {
	CAFile             string `config:"ca_file"`
	CertFile           string `config:"cert_file"`
	KeyFile            string `config:"key_file"`
	ServerName         string `config:"server_name"`
	InsecureSkipVerify bool   `config:"insecure_skip_verify"`
}

// BasicAuthOptions are a user and the file that holds its password.
type BasicAuthOptions struct {
	Username     string `config:"username"`
	PasswordFile string `config:"password_file"`
}

// FlushOptions are the request that empties a target's whole cache.
type FlushOptions struct {
	Method  string            `config:"method"`
	URL     string            `config:"url,secret"`
	Headers map[string]string `config:"headers,secret"`
	Body    string            `config:"body"`
}

// notYet is said of a key that is known and has no effect yet.
const notYet = "this version of agentctl does not have it yet: leave it out"

// target makes a handler's target, with the secrets and certificates as they
// are in their files now. The error names all that is wrong, without the values
// of secrets.
func (t *TargetOptions) target() (handler.Target, error) {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	events, url := t.Events, t.URL
	switch t.Preset {
	case "", "http":
	case "kong":
		if events == "" {
			events = GatewayEvents
		}
		url = GatewayURL(url)
	default:
		bad("preset", "unknown preset %q: want kong or http", t.Preset)
	}
	for key, given := range map[string]bool{
		"body": t.Body != "", "concurrency": t.Concurrency > 1, "order_key": t.OrderKey != "",
		"collapse": t.Collapse, "max_age": t.MaxAge != 0, "flush": t.Flush.given(),
	} {
		if given {
			bad(key, "%s", notYet)
		}
	}
	if t.Concurrency < 0 {
		bad("concurrency", "%d is negative", t.Concurrency)
	}
	filters, err := handler.ParseFilters(events)
	if err != nil {
		bad("events", "%w", err)
	}
	header := http.Header{}
	for name, value := range t.Headers {
		header.Set(name, value)
	}
	if err := t.authorize(header); err != nil {
		errs = append(errs, err)
	}
	conf, err := t.TLS.config()
	if err != nil {
		errs = append(errs, err)
	}
	out := handler.Target{
		Name: t.Name, Filters: filters, URL: url, Method: t.Method, Header: header, Timeout: t.Timeout,
		DoneCodes: t.DoneCodes, RetryCodes: t.RetryCodes, BuryCodes: t.BuryCodes,
		UserAgent: "agentctl/" + Version, TLS: conf,
	}.WithDefaults()
	if err := out.Validate(); err != nil {
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// authorize sets the Authorization header from the files that are named.
func (t *TargetOptions) authorize(header http.Header) error {
	ways := 0
	for _, given := range []bool{t.BasicAuth != BasicAuthOptions{}, t.BearerTokenFile != "", header.Get("Authorization") != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("basic_auth, bearer_token_file and an Authorization header exclude each other: give one")
	}
	switch {
	case t.BearerTokenFile != "":
		token, err := readSecret(t.BearerTokenFile)
		if err != nil {
			return fmt.Errorf("bearer_token_file: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	case t.BasicAuth.Username != "":
		password := ""
		if t.BasicAuth.PasswordFile != "" {
			var err error
			if password, err = readSecret(t.BasicAuth.PasswordFile); err != nil {
				return fmt.Errorf("basic_auth.password_file: %w", err)
			}
		}
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(t.BasicAuth.Username+":"+password)))
	case t.BasicAuth.PasswordFile != "":
		return errors.New("basic_auth: a password_file is given but no username")
	}
	return nil
}

// readSecret reads a file that holds one secret, which a newline may follow.
func readSecret(path string) (string, error) {
	const most = 64 << 10
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > most {
		return "", fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// config reads the certificates; nil means the defaults.
func (t *TLSOptions) config() (*tls.Config, error) {
	if *t == (TLSOptions{}) {
		return nil, nil
	}
	conf := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("tls: cert_file and key_file go together")
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

func (f *FlushOptions) given() bool {
	return f.Method != "" || f.URL != "" || len(f.Headers) > 0 || f.Body != ""
}
