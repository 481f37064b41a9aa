package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"agentctl/agent/api"
)

// takingAgent takes all lines, but for the requests that fail says.
type takingAgent struct {
	bodies []string
	fail   func(request int) (*http.Response, error) // nil, nil: it does not fail
}

func (a *takingAgent) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if a.bodies = append(a.bodies, string(body)); a.fail != nil {
		if resp, err := a.fail(len(a.bodies)); resp != nil || err != nil {
			return resp, err
		}
	}
	n := bytes.Count(body, []byte("\n"))
	return answerWith(http.StatusAccepted, fmt.Sprintf(`{"taken":%d,"first_id":"1-f%d","last_id":"1-l%[2]d"}`, n, len(a.bodies))), nil
}

func answerWith(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}
}

func publishLines(ctx context.Context, p *publishing, a *takingAgent, in io.Reader) (api.BatchReport, error) {
	client := newOpsClient("127.0.0.1:1")
	client.http.Transport = a
	return p.publish(ctx, client, in, 0)
}

// A line of text becomes the payload byte for byte, without its end.
func TestLinesArePayloads(t *testing.T) {
	t.Parallel()
	a := new(takingAgent)
	all, err := publishLines(t.Context(), &publishing{name: "e", coalesce: true}, a, strings.NewReader("<a>\r\n\n\xff\nlast"))
	want := []string{
		`{"name":"e","payload":"\u003ca\u003e","coalesce":true}`, `{"name":"e","payload_base64":"/w==","coalesce":true}`, `{"name":"e","payload":"last","coalesce":true}`, "",
	}
	if got := strings.Join(a.bodies, ""); err != nil || all.Taken != 3 || got != strings.Join(want, "\n") {
		t.Errorf("%v, %+v:\n%s", err, all, got)
	}
}

// Many lines go in several requests, and none is lost between them.
func TestManyLines(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for i := range 2*requestLines + 1 {
		fmt.Fprintf(&in, "{\"name\":\"%d\"}\n", i)
	}
	fmt.Fprintf(&in, "{\"name\":%q}\n", strings.Repeat("x", 2*requestBytes))
	a := new(takingAgent)
	all, err := publishLines(t.Context(), new(publishing), a, strings.NewReader(in.String()))
	if err != nil || all.Taken != 2*requestLines+2 || all.FirstID != "1-f1" || all.LastID != fmt.Sprintf("1-l%d", len(a.bodies)) {
		t.Errorf("%v, %+v", err, all)
	}
	if strings.Join(a.bodies, "") != in.String() {
		t.Error("the requests have not the lines")
	}
	if len(a.bodies) < 3 {
		t.Errorf("%d requests", len(a.bodies))
	}
}

// A line that has come is published before the next is waited for, and an interrupt ends
// the wait.
func TestLinesThatComeSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		a := new(takingAgent)
		ended := make(chan error)
		go func() {
			_, err := publishLines(ctx, &publishing{name: "e"}, a, in)
			ended <- err
		}()
		for i := range 3 {
			fmt.Fprintln(out, i)
			synctest.Wait()
			if len(a.bodies) != i+1 {
				t.Errorf("%d requests after line %d", len(a.bodies), i+1)
			}
		}
		interrupt()
		if err := <-ended; err == nil || err.Error() != "Error sending events: line 4: interrupted" {
			t.Errorf("interrupted: %v", err)
		}
		out.Close() // for the reader
	})
}

// An error says which line it is about, and whether more is known.
func TestErrorsOfLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what  string
		in    string
		fail  func() (*http.Response, error)
		taken int
		err   string
		last  int
	}{
		{
			"a line is refused", "", func() (*http.Response, error) {
				return answerWith(400, `{"taken":2,"first_id":"1-a","last_id":"1-b","line":3,"error":"wrong"}`), nil
			}, requestLines + 2, fmt.Sprintf("line %d: wrong", 2*(requestLines+3)), 0,
		},
		{
			"a request is refused", "", func() (*http.Response, error) { return answerWith(401, `{"error":"no token"}`), nil },
			requestLines, fmt.Sprintf("line %d: no token", 2*(requestLines+1)), 0,
		},
		{
			"another program answers", "", func() (*http.Response, error) { return answerWith(200, "hello"), nil },
			requestLines, fmt.Sprintf("line %d: 127.0.0.1:1 answers OK to /v1/events", 2*(requestLines+1)), 0,
		},
		{
			"no agent is there any more", "", func() (*http.Response, error) { return nil, &net.OpError{Op: "dial", Err: errors.New("refused")} },
			requestLines, fmt.Sprintf("line %d: no agent answers", 2*(requestLines+1)), 0,
		},
		{
			"no answer comes", "", func() (*http.Response, error) { return nil, &net.OpError{Op: "read", Err: errors.New("reset")} },
			requestLines, fmt.Sprintf("lines %d to %d: no agent answers", 2*(requestLines+1), 2*2*requestLines), 2 * 2 * requestLines,
		},
		{
			"a line is too long", strings.Repeat("x", api.MaxRequest+1), func() (*http.Response, error) { return nil, nil },
			2 * requestLines, fmt.Sprintf("line %d: it is larger than %d bytes", 2*2*requestLines+1, api.MaxRequest), 0,
		},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			a := &takingAgent{fail: func(request int) (*http.Response, error) {
				if request < 2 {
					return nil, nil
				}
				return test.fail()
			}}
			in := strings.Repeat("\nx\n", 2*requestLines) + test.in
			all, err := publishLines(t.Context(), &publishing{name: "e"}, a, strings.NewReader(in))
			failed, _ := errors.AsType[*lineError](err)
			if failed == nil || !strings.HasPrefix(err.Error(), "Error sending events: "+test.err) || failed.last != test.last || all.Taken != test.taken {
				t.Errorf("%v, %d taken", err, all.Taken)
			}
		})
	}
}
