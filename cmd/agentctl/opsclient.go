package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/version"
)

// opsTimeout bounds one request to the operations endpoint; a stream has none.
const opsTimeout = 30 * time.Second

// maxOpsAnswer bounds the answer to one request, in bytes. A full page of
// payloads, written as JSON, is well below.
const maxOpsAnswer = 256 << 20

// opsFlags are the flags of the commands that ask the operations endpoint.
type opsFlags struct{ addr, format, token *string }

// opsHelp explains them.
const opsHelp = `  -format=text|json         Form of the output, text by default.
  -http-addr=127.0.0.1:7374 Operations endpoint of the agent: host:port or
                            unix:/path, also as AGENTCTL_HTTP_ADDR.
  -http-token-file=FILE     The agent's token, where it wants one; also as
                            AGENTCTL_HTTP_TOKEN_FILE.
`

func addOpsFlags(fs *flag.FlagSet) opsFlags {
	return opsFlags{
		addr:   fs.String("http-addr", firstEnv(config.DefaultHTTPAddr, "AGENTCTL_HTTP_ADDR"), ""),
		format: fs.String("format", "text", ""),
		token:  fs.String("http-token-file", firstEnv("", "AGENTCTL_HTTP_TOKEN_FILE"), ""),
	}
}

// opsOfEnvironment is for a command line that cannot have these flags.
func opsOfEnvironment() opsFlags { return addOpsFlags(newFlags("")) }

func (f opsFlags) json() bool { return *f.format == "json" }

// client checks the flags and makes a client of them.
func (f opsFlags) client() (*opsClient, error) {
	if err := checkFormat(*f.format); err != nil {
		return nil, err
	}
	if *f.addr == config.Off {
		return nil, errors.New("-http-addr is off (is AGENTCTL_HTTP_ADDR set?): give the address of the agent's operations endpoint")
	}
	if _, _, err := net.SplitHostPort(*f.addr); err != nil && !strings.HasPrefix(*f.addr, "unix:") {
		return nil, fmt.Errorf("-http-addr: %q is neither host:port nor unix:/path", *f.addr)
	}
	c := newOpsClient(*f.addr)
	if *f.token != "" {
		token, err := config.ReadSecret(*f.token)
		if err != nil {
			return nil, fmt.Errorf("-http-token-file: %w", err)
		}
		c.token = token
	}
	return c, nil
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return &usageError{fmt.Sprintf("-format: %q is neither text nor json", format)}
	}
	return nil
}

// opsClient asks the operations endpoint of an agent.
type opsClient struct {
	addr  string
	base  string // of URLs
	token string // "": none
	http  *http.Client
}

func newOpsClient(addr string) *opsClient {
	c := &opsClient{addr: addr, base: "http://" + addr}
	transport := &http.Transport{ // with no proxy: the agent is beside us
		ResponseHeaderTimeout: opsTimeout,
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	path, unix := strings.CutPrefix(addr, "unix:")
	if unix {
		c.base = "http://localhost"
	}
	transport.DialContext = func(ctx context.Context, network, hostPort string) (net.Conn, error) {
		if unix {
			network, hostPort = "unix", path
		}
		return dialer.DialContext(ctx, network, hostPort)
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// get asks for a path and reads the answer into v.
func (c *opsClient) get(ctx context.Context, path string, v any) error {
	return c.call(ctx, http.MethodGet, path, nil, v)
}

// post sends a body as JSON and reads the answer into v.
func (c *opsClient) post(ctx context.Context, path string, body, v any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, data, v)
}

func (c *opsClient) call(ctx context.Context, method, path string, body []byte, v any) error {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	answer, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	return c.decoded(json.NewDecoder(io.LimitReader(answer, maxOpsAnswer)).Decode(v))
}

// decoded explains an error of reading an answer.
func (c *opsClient) decoded(err error) error {
	if err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w; is it an agent's operations endpoint?", c.addr, err)
	}
	return nil
}

// open sends a request and returns the body of an answer that is 2xx.
func (c *opsClient) open(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	resp, err := c.send(ctx, method, path, "application/json", body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it
	var report api.ErrorReport
	if json.Unmarshal(data, &report) != nil || report.Error == "" {
		return nil, c.stranger(resp, path)
	}
	return nil, errors.New(printable([]byte(report.Error), 1000))
}

// health asks one of the pages for probes; 200 and 503 are both an answer.
func (c *opsClient) health(ctx context.Context, path string) (*api.HealthReport, error) {
	resp, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var report api.HealthReport
	err = json.NewDecoder(io.LimitReader(resp.Body, maxOpsAnswer)).Decode(&report)
	switch resp.StatusCode {
	case http.StatusOK, http.StatusServiceUnavailable:
		return &report, c.decoded(err)
	}
	return nil, c.stranger(resp, path)
}

func (c *opsClient) stranger(resp *http.Response, path string) error {
	return fmt.Errorf("%s answers %s to %s: is it the operations endpoint of an agent of this version?", c.addr, resp.Status, path)
}

// errLate is an agent that is reached and does not answer in time.
var errLate = errors.New("it does not answer in time")

// unanswered is a request that got no answer. The agent may have got it if it was sent.
type unanswered struct {
	error
	sent bool
}

func (e *unanswered) Unwrap() error { return e.error }

// send sends a request, with a body of a type or nil; whoever gets the answer closes its
// body.
func (c *opsClient) send(ctx context.Context, method, path, typ string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("-http-addr: %q is no address: %w", c.addr, err)
	}
	req.Header.Set("User-Agent", "agentctl/"+version.Version)
	if body != nil {
		req.Header.Set("Content-Type", typ)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil && ctx.Err() != context.DeadlineExceeded {
			return nil, ctx.Err() // the user's wish
		}
		sent := true
		if op, ok := errors.AsType[*net.OpError](err); ok {
			sent = op.Op != "dial"
			err = op.Err // without the address
		} else if asked, ok := errors.AsType[*url.Error](err); ok {
			err = asked.Err // without the URL
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = errLate
		}
		err = fmt.Errorf("no agent answers at %s: %w; is it running? If it has another -http-addr, pass that. An agent called as serf has none: start it with -http-addr=%[1]s", c.addr, err)
		return nil, &unanswered{err, sent}
	}
	return resp, nil
}

// runOps runs one of the commands that ask the operations endpoint; its error
// has status 1. An interrupt ends the context.
func runOps(name string, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		printErrors("agentctl "+name, err)
		return 1
	}
	return 0
}

// exitCode is an exit status that needs no words any more.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// writeLine prints v as one line of JSON, safe for a terminal.
func writeLine(w io.Writer, v any) error {
	var line strings.Builder
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, logs.EscapeJSON(line.String()))
	return err
}
