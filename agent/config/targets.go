package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"agentctl/agent/version"
	"agentctl/handler"
	"agentctl/handler/target"
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
	Body            string            `config:"body"`
	Timeout         time.Duration     `config:"timeout"`
	DoneCodes       []int             `config:"done_codes"`
	RetryCodes      []int             `config:"retry_codes"`
	BuryCodes       []int             `config:"bury_codes"`
	TLS             TLSOptions        `config:"tls"`
	BasicAuth       BasicAuthOptions  `config:"basic_auth"`
	BearerTokenFile string            `config:"bearer_token_file"`
	Concurrency     int               `config:"concurrency"`
	OrderKey        string            `config:"order_key"`
	Collapse        *bool             `config:"collapse"` // nil: as the preset has it
	MaxAge          time.Duration     `config:"max_age"`
	Flush           FlushOptions      `config:"flush"` // the preset's, or none
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

// FlushOptions are the request that empties a target's whole cache, see
// [target.FlushRequest].
type FlushOptions struct {
	Method  string            `config:"method"`
	URL     string            `config:"url,secret"`
	Headers map[string]string `config:"headers,secret"`
	Body    string            `config:"body"`
	// LastEvent is that of [target.FlushRequest], and excludes the rest.
	LastEvent bool `config:"last_event"`
}

// TargetKeys are the keys of a target in a configuration file; those of an object
// in it are like "tls.ca_file".
func TargetKeys() []string { return structFields(new(TargetOptions)).names() }

// Target makes a handler's target, with the preset's and the defaults' share, and
// with the secrets and certificates as they are in their files now. The error
// names all that is wrong, without the values of secrets.
func (t *TargetOptions) Target() (target.Target, error) { return t.compile(nil) }

func (t *TargetOptions) compile(from files) (target.Target, error) {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	preset, ok := target.FindPreset(t.Preset)
	if !ok {
		meant := DidYouMean(t.Preset, target.PresetNames())
		if meant == "" {
			meant = ": want one of " + strings.Join(target.PresetNames(), ", ") + ";"
		}
		bad("preset", "unknown preset %q%s \"agentctl check -presets\" shows what each sends", t.Preset, meant)
	}
	address, err := target.AddScheme(t.URL)
	if err != nil {
		bad("url", "%w", err)
	}
	out, usual := preset.At(address), preset.Filters.String()
	filters, err := handler.ParseFilters(cmp.Or(t.Events, usual))
	if err != nil {
		bad("events", "%w", err)
	}
	if strings.Contains(preset.URL, "{{") && !strings.Contains(out.URL, "{{") && t.URL != "" {
		bad("url", "all events would ask for one path, where preset %s has %s: leave the path out, or give one with placeholders", preset.Name, preset.URL)
	}
	out.Name, out.Filters = t.Name, filters
	out.Header = headerOf(t.Headers, out.Header)
	if err := t.authorize(out.Header, from); err != nil {
		errs = append(errs, err)
	}
	if out.TLS, err = t.TLS.config(from); err != nil {
		errs = append(errs, err)
	}
	out.Method, out.Body = cmp.Or(t.Method, out.Method), cmp.Or(t.Body, out.Body)
	out.DoneCodes, out.RetryCodes, out.BuryCodes = t.codes(&out)
	out.Timeout, out.MaxAge = t.Timeout, t.MaxAge
	out.Concurrency, out.OrderKey = t.Concurrency, t.OrderKey
	if t.Collapse != nil {
		out.Collapse = *t.Collapse
	}
	if flush := t.Flush.request(); flush != nil {
		out.Flush = flush
	}
	out.UserAgent = "agentctl/" + version.Version
	out = out.WithDefaults()
	if t.Name == "" {
		out.Name = defaultName(&out, usual)
	}
	if err := out.Validate(); err != nil {
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// codes are the status codes of a preset's target, less those of which the
// options say something else, and theirs.
func (t *TargetOptions) codes(preset *target.Target) (done, retry, bury []int) {
	said := slices.Concat(t.DoneCodes, t.RetryCodes, t.BuryCodes)
	both := func(preset, own []int) []int {
		kept := slices.DeleteFunc(slices.Clone(preset), func(code int) bool { return slices.Contains(said, code) })
		return append(kept, own...)
	}
	return both(preset.DoneCodes, t.DoneCodes), both(preset.RetryCodes, t.RetryCodes), both(preset.BuryCodes, t.BuryCodes)
}

// authorize sets the Authorization header from the files that are named.
func (t *TargetOptions) authorize(header http.Header, from files) error {
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
		token, err := from.secret(t.BearerTokenFile)
		if err != nil {
			return fmt.Errorf("bearer_token_file: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	case t.BasicAuth.Username != "":
		password := ""
		if t.BasicAuth.PasswordFile != "" {
			var err error
			if password, err = from.secret(t.BasicAuth.PasswordFile); err != nil {
				return fmt.Errorf("basic_auth.password_file: %w", err)
			}
		}
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(t.BasicAuth.Username+":"+password)))
	case t.BasicAuth.PasswordFile != "":
		return errors.New("basic_auth: a password_file is given but no username")
	}
	return nil
}

// config reads the certificates; nil means the defaults.
func (t *TLSOptions) config(from files) (*tls.Config, error) {
	if *t == (TLSOptions{}) {
		return nil, nil
	}
	conf := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := from.read(t.CAFile, maxFileSize)
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
		cert, err := t.keyPair(from)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// keyPair reads the certificate that the target is shown, and its key.
func (t *TLSOptions) keyPair(from files) (tls.Certificate, error) {
	cert, err := from.read(t.CertFile, maxFileSize)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := from.read(t.KeyFile, maxFileSize)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// headerOf makes headers of values and, where these do not name them, of a
// preset's.
func headerOf(values map[string]string, preset http.Header) http.Header {
	header := preset.Clone()
	if header == nil {
		header = http.Header{}
	}
	for name, value := range values {
		header.Set(name, value)
	}
	return header
}

// request is nil where nothing is given.
func (f *FlushOptions) request() *target.FlushRequest {
	if f.Method == "" && f.URL == "" && len(f.Headers) == 0 && f.Body == "" && !f.LastEvent {
		return nil
	}
	return &target.FlushRequest{
		URL: f.URL, Method: f.Method, Header: headerOf(f.Headers, nil), Body: f.Body, LastEvent: f.LastEvent,
	}
}
