package ops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/publish"
	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// publishAll refuses an event of the name "refused", and "large" does not reach all.
func (p *publisher) publishAll(_ context.Context, events []publish.Event) (sent []publish.Sent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if e.Name == "refused" {
			return sent, &publish.SizeError{Name: 7, Payload: 600, Limit: 512, MaxEvent: 512}
		}
		p.events = append(p.events, fmt.Sprintf("%s %s %v", e.Name, e.Payload, e.Coalesce))
		s := publish.Sent{UserEvent: serf.UserEvent{LTime: serf.LamportTime(len(p.events)), Name: e.Name, Payload: e.Payload}}
		if e.Name == "large" {
			s.Unreached, s.Warning = []string{"stock"}, "one is stock"
		}
		sent = append(sent, s)
	}
	return sent, nil
}

func (p *publisher) batchRig(t *testing.T) *rig {
	return p.rig(t, func(c *Config) { c.PublishAll = p.publishAll })
}

func idOf(ltime uint64, name, payload string) string {
	return handler.NewUser(ltime, name, []byte(payload), time.Time{}).ID
}

// A batch is published in its order, up to the first line that is wrong, and the answer
// says which one that is.
func TestBatchIsAnswered(t *testing.T) {
	for _, test := range []struct {
		what, body string
		status     int
		events     []string
		line       int
		err        string
		warning    bool
	}{
		{what: "nothing", status: 202},
		{
			what: "lines, also blank ones and one without its end", status: 202,
			body:   "{\"name\":\"a\",\"payload\":\"1\"}\r\n\n  \n{\"name\":\"b\",\"payload_base64\":\"AP8K\",\"coalesce\":true}\n{\"name\":\"c\"}",
			events: []string{"a 1 false", "b \x00\xff\n true", "c  false"},
		},
		{
			what: "a line that is no JSON", status: 400, body: "{\"name\":\"a\"}\n\nwrong\n{\"name\":\"c\"}\n",
			events: []string{"a  false"}, line: 3, err: "the line is not as it should be: invalid character",
		},
		{
			what: "a line with a field that is not known", status: 400, body: `{"name":"a","nmae":"b"}`,
			line: 1, err: `unknown field "nmae"`,
		},
		{
			what: "two objects on a line", status: 400, body: `{"name":"a"} {"name":"b"}`,
			line: 1, err: "more follows the object",
		},
		{
			what: "a line without a name", status: 400, body: "{\"name\":\"a\"}\n{\"payload\":\"1\"}\n",
			events: []string{"a  false"}, line: 2, err: "the event has no name",
		},
		{
			what: "a line with two payloads", status: 400, body: `{"name":"a","payload":"1","payload_base64":"MQ=="}`,
			line: 1, err: "payload and payload_base64 are both given",
		},
		{
			what: "an event that cannot be published", status: 413, body: "{\"name\":\"a\"}\n\n{\"name\":\"refused\"}\n{\"name\":\"c\"}\n",
			events: []string{"a  false"}, line: 3, err: "the event has 607 bytes",
		},
		{
			what: "the first of two mistakes", status: 413, body: "{\"name\":\"refused\"}\nwrong\n",
			line: 1, err: "the event has 607 bytes",
		},
		{
			what: "a long line", status: 202, body: `{"name":"a","payload":"` + strings.Repeat("x", 200_000) + "\"}\n{\"name\":\"b\"}\n",
			events: []string{"a " + strings.Repeat("x", 200_000) + " false", "b  false"},
		},
		{
			what: "a line that is too long", status: 413, body: "{\"name\":\"a\"}\n{\"name\":\"" + strings.Repeat("x", api.MaxRequest) + "\"}\n{\"name\":\"b\"}\n",
			events: []string{"a  false"}, line: 2, err: "the line is larger than 2097152 bytes",
		},
		{
			what: "a large event", status: 202, body: `{"name":"large"}`, events: []string{"large  false"}, warning: true,
		},
	} {
		t.Run(test.what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := new(publisher)
				r := p.batchRig(t)
				status, got, text := postBatch(t, client(t), r.URL, strings.NewReader(test.body))
				if status != test.status || got.Line != test.line || got.Taken != len(test.events) || !strings.Contains(got.Error, test.err) || (got.Error == "") != (test.err == "") {
					t.Errorf("%d %s", status, text)
				}
				testkit.Want(t, "the events", p.published(), test.events)
				var ids []string
				for i, e := range test.events {
					name, payload, _ := strings.Cut(e, " ")
					ids = append(ids, idOf(uint64(i+1), name, payload[:strings.LastIndexByte(payload, ' ')]))
				}
				testkit.Want(t, "the IDs", got.IDs, ids)
				if len(ids) > 0 && (got.FirstID != ids[0] || got.LastID != ids[len(ids)-1]) {
					t.Errorf("first %s, last %s, want of %v", got.FirstID, got.LastID, ids)
				}
				if (got.Warning != "") != test.warning || (got.Unreached != nil) != test.warning {
					t.Errorf("warning %q, unreached %v", got.Warning, got.Unreached)
				}
			})
		})
	}
}

// What a batch cannot have is refused before anything is published. With a name in the
// query, a body of this type is a payload, as any other.
func TestBatchTakesNoParameters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := new(publisher)
		r := p.batchRig(t)
		for _, query := range []string{"durable=1", "wait=1s", "coalesce=true", "other=1"} {
			if status, text := r.ask(t, "POST", "/v1/events?"+query, `{"name":"a"}`, nil, "Content-Type", api.ContentBatch); status != 400 || !strings.Contains(text, "a batch takes no parameters") {
				t.Errorf("%s: %d %s", query, status, text)
			}
		}
		testkit.Want(t, "events", p.published(), nil)
		if status, text := r.ask(t, "POST", "/v1/events?name=a", `{"name":"b"}`, nil, "Content-Type", api.ContentBatch); status != 202 {
			t.Errorf("%d %s", status, text)
		}
		testkit.Want(t, "events", p.published(), []string{`a {"name":"b"} false`})
	})
}

// Every event of a long batch is published, in its order. The answer has the first and
// the last ID, as there are too many to list. One of a batch beyond the limit is not taken.
func TestLongBatch(t *testing.T) {
	p := new(publisher)
	s := &Server{cfg: Config{PublishAll: p.publishAll}}
	n := 0
	body := readerFunc(func(b []byte) (int, error) {
		if n == api.MaxBatchIDs+2*chunkEvents {
			return 0, io.EOF
		}
		n++
		return copy(b, fmt.Sprintf("{\"name\":\"e\",\"payload\":\"%d\"}\n", n)), nil
	})
	report, err := s.publishLines(t.Context(), bufio.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range p.events {
		if e != fmt.Sprintf("e %d false", i+1) {
			t.Fatalf("event %d is %s", i, e)
		}
	}
	testkit.Want(t, "the answer", report, &api.BatchReport{
		Taken: n, FirstID: idOf(1, "e", "1"), LastID: idOf(uint64(n), "e", fmt.Sprint(n)),
	})

	// All but two of the limit have come before.
	l := &lines{in: bufio.NewReader(strings.NewReader(strings.Repeat("{\"name\":\"e\"}\n", 4))), events: api.MaxBatchEvents - 2}
	if c := l.chunk(); len(c.events) != 2 || statusOf(c.err) != http.StatusRequestEntityTooLarge || l.line != 3 {
		t.Errorf("%d events, line %d: %v", len(c.events), l.line, c.err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// While the agent takes nothing, no more than a few chunks of a batch are read, however
// long it is.
func TestBatchIsNotReadAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		room := make(chan struct{})
		s := &Server{cfg: Config{PublishAll: func(_ context.Context, events []publish.Event) ([]publish.Sent, error) {
			<-room
			return nil, errors.New("no room")
		}}}
		var read, most int
		line := []byte(`{"name":"e","payload":"` + strings.Repeat("x", 8<<10) + "\"}\n")
		ended := make(chan error)
		go func() {
			report, err := s.publishLines(t.Context(), bufio.NewReaderSize(readerFunc(func(b []byte) (int, error) {
				if read > 64<<20 {
					return 0, io.EOF
				}
				n := 0
				for n < len(b) {
					n += copy(b[n:], line[(read+n)%len(line):])
				}
				read += n
				return n, nil
			}), batchBuffer))
			if report.Taken != 0 || report.Line != 1 {
				t.Errorf("%+v", report)
			}
			ended <- err
		}()
		synctest.Wait()
		if most = 3*(chunkBytes+len(line)) + batchBuffer; read > most {
			t.Errorf("%d bytes were read, want at most %d", read, most)
		}
		close(room)
		if err := <-ended; err == nil {
			t.Error("there was no room, and no error")
		}
	})
}

// A batch may take longer than a short request, as long as it goes on.
func TestSlowBatch(t *testing.T) {
	for _, test := range []struct {
		what   string
		pause  time.Duration
		lines  int
		status int
		err    string
	}{
		{"that goes on", api.MaxBatchSilence - time.Second, 10, 202, ""},
		{"that stops", api.MaxBatchSilence + time.Second, 2, 408, "nothing came for 10s"},
		{"without end", api.MaxBatchSilence - time.Second, 100, 408, "took longer than 10m0s"},
	} {
		t.Run(test.what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServed(t)
				body, lines := io.Pipe()
				var writer sync.WaitGroup
				defer writer.Wait()
				writer.Go(func() {
					defer lines.Close()
					for i := range test.lines {
						if i > 0 {
							time.Sleep(test.pause)
						}
						if _, err := fmt.Fprintln(lines, `{"name":"e"}`); err != nil {
							return // it was answered
						}
					}
				})
				status, got, text := postBatch(t, memory.Client(t), "http://"+s.Addr().String(), body)
				body.Close()
				if status != test.status || !strings.Contains(got.Error, test.err) || got.Taken != len(s.batches.published()) || got.Taken == 0 {
					t.Errorf("%d %s, %d published", status, text, len(s.batches.published()))
				}
				if test.err == "" && got.Taken != test.lines || test.err != "" && got.Line != got.Taken+1 {
					t.Errorf("%d of %d taken, line %d", got.Taken, test.lines, got.Line)
				}
			})
		})
	}
}

// One address has a few batches at a time, and the next is told so.
func TestBatchesHaveALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := new(publisher).batchRig(t)
		var open []*io.PipeWriter
		for range api.MaxBatches {
			body, lines := io.Pipe()
			open = append(open, lines)
			go func() {
				if status, _, text := postBatch(t, client(t), r.URL, body); status != http.StatusAccepted {
					t.Errorf("%d %s", status, text)
				}
			}()
			fmt.Fprintln(lines, `{"name":"e"}`)
		}
		synctest.Wait()
		if status, _, text := postBatch(t, client(t), r.URL, strings.NewReader(`{"name":"e"}`)); status != 503 || !strings.Contains(text, "nothing of this one is") {
			t.Errorf("%d %s", status, text)
		}
		for _, lines := range open {
			lines.Close()
		}
		synctest.Wait()
		if status, _, text := postBatch(t, client(t), r.URL, strings.NewReader(`{"name":"e"}`)); status != http.StatusAccepted {
			t.Errorf("%d %s", status, text)
		}
	})
}

func postBatch(t *testing.T, client *http.Client, base string, body io.Reader) (status int, got api.BatchReport, text string) {
	t.Helper()
	resp, err := client.Post(base+"/v1/events", api.ContentBatch, body)
	if err != nil {
		t.Error(err)
		return 0, got, ""
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil {
		t.Errorf("%d %s: %v", resp.StatusCode, data, err)
	}
	return resp.StatusCode, got, string(data)
}

// Allocations are exact where times are noisy: a line costs some more only if somebody
// means it to. It has those of the event's name and payload, and its part of the chunk's.
func TestAllocationsOfALine(t *testing.T) {
	line := fmt.Sprintf("{\"name\":\"kong\",\"payload\":%q}\n", strings.Repeat(`"x`, 120))
	body := strings.Repeat(line, chunkEvents)
	read := 0
	n := testing.AllocsPerRun(20, func() {
		l := &lines{in: bufio.NewReaderSize(strings.NewReader(body), 2*len(body))}
		read = len(l.chunk().events)
	})
	if read != chunkEvents || n > 2*chunkEvents+30 {
		t.Errorf("%.1f allocations for %d lines", n, read)
	}
}

// FuzzQuickEvent holds the quick reading of a line to that of encoding/json.
func FuzzQuickEvent(f *testing.F) {
	for _, line := range []string{
		`{"name":"kong","payload":"p"}`, ` { "payload" : "a\"b\\c\/\b\f\n\r\t" ,	"coalesce" : true , "name" : "ü" } `,
		`{"name":"kong","payload":""}`, `{"name":"","payload":"p"}`, `{"name":"kong"}`, `{}`, `{"name":"a","name":"b","payload":"p"}`,
		`{"name":"kong","payload":"p","coalesce":false}`, `{"name":"kong","payload":"p","coalesce":falsetrue}`, `{"name":"kong","payload":"p","coalesce":1}`,
		`{"name":"kong","payload":"\u0041"}`, `{"name":"kong","payload":"\x"}`, `{"name":"kong","payload":"p",}`, `{,"name":"kong","payload":"p"}`,
		`{"name":"kong","payload":"p"}{}`, `{"Name":"kong","payload":"p"}`, `{"na\me":"kong","payload":"p"}`, `{"name":"kong" "payload":"p"}`,
		"{\"name\":\"kong\",\"payload\":\"\xff\"}", "{\"name\":\"kong\",\"payload\":\"\x01\"}", `{"name":"kong","payload":null}`, `{"name":"kong","payload":"p`,
		`{"name":"kong","payload":"p","other":1}`, `{"name":"kong","payload":"p\`, `{"name":"kong","payload_base64":"AAA="}`, `{"name":"a\nb","payload":"c\nd"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		buf := []byte("of the line before")
		got, ok := quickEvent(line, &buf)
		if !bytes.Equal(line, before) {
			t.Fatalf("%q has become %q", before, line)
		}
		if !ok {
			return
		}
		clear(line)
		clear(buf)
		want, err := eventOf(before)
		if err != nil {
			t.Fatalf("%q was read as %+v, and by encoding/json: %v", before, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-encoding/json +quick):\n%s", before, diff)
		}
	})
}

// What programs write is read the quick way.
func TestUsualLinesAreQuick(t *testing.T) {
	for _, payload := range []string{"", "p", "{\"a\":\"b\\c\"}\n\t\r", "ü"} {
		line, err := json.Marshal(api.PublishRequest{Name: "kong", Payload: payload, Coalesce: payload == "p"})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := quickEvent(line, new([]byte)); ok == (payload == "") {
			t.Errorf("%s is read the quick way: %v", line, ok)
		}
	}
}
