package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"agentctl/agent/api"
)

const (
	// requestLines and requestBytes are how much one request has at most, but for a
	// line that has more bytes. So the progress is seen, and where a request gets no
	// answer it is unknown of no more events whether they are published.
	requestLines, requestBytes = 1_000, 256 << 10
	// stoppedShort is the exit status if an error came behind events that are published,
	// or perhaps are.
	stoppedShort = 2
)

// publishing is what publishes each line of a file.
type publishing struct {
	name     string // of all events; "": each line is a [api.PublishRequest]
	coalesce bool   // of all events, if they have one name
	file     string // or "-"
	ops      opsFlags
	out      io.Writer
	bar      *progress
}

// run publishes the lines. Its status is 0 if all of them are published, and 2 if an
// error came behind the first. It has printed that error then.
func (p *publishing) run(ctx context.Context) (code int, err error) {
	client, err := p.ops.client()
	if err != nil {
		return 0, err
	}
	in, size := os.Stdin, 0
	if p.file != "-" {
		if in, err = os.Open(p.file); err != nil {
			return 0, fmt.Errorf("-lines: %w", err)
		}
		defer in.Close()
		if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
			size = int(info.Size())
		}
	}
	all, err := p.publish(ctx, client, in, size)
	p.bar.end()
	warn(all.Warning)
	failed, short := errors.AsType[*lineError](err)
	switch short = short && (all.Taken > 0 || failed.unsure()); {
	case short:
		code = stoppedShort
		if all.Line, all.Error = failed.line, err.Error(); !p.ops.json() {
			fmt.Fprintln(p.out, escapedLines([]byte(p.stopped(all.Taken, failed))))
			return code, nil
		}
	case err != nil:
		return 0, err
	}
	if p.ops.json() {
		return code, writeLine(p.out, &all)
	}
	line := count(all.Taken, "event") + " published"
	if all.Taken > 0 {
		line += fmt.Sprintf("; the first is %s, the last %s", word(all.FirstID), word(all.LastID))
	}
	_, err = fmt.Fprintln(p.out, line)
	return code, err
}

// stopped says what is published and how to go on.
func (p *publishing) stopped(taken int, e *lineError) string {
	var b strings.Builder
	before := "No event is published"
	if taken > 0 {
		before = fmt.Sprintf("The lines before it are published: %s", count(taken, "event"))
	}
	fmt.Fprintf(&b, "%v\n%s. ", e, before)
	if e.unsure() {
		fmt.Fprintf(&b, "Of lines %d to %d nobody knows: if you publish them again, some may be there twice.\n", e.line, e.last)
	} else {
		b.WriteString("Nothing behind them is.\n")
	}
	again := "agentctl event -lines=-"
	if p.name != "" {
		again += " NAME"
	}
	fmt.Fprintf(&b, "To go on, send the rest: tail -n +%d FILE | %s", e.line, again)
	return b.String()
}

// lineError is why a line was not published.
type lineError struct {
	line int
	last int // the last one of which it is not known whether it was published; 0: none
	err  error
}

func (e *lineError) unsure() bool { return e.last > 0 }

func (e *lineError) Error() string {
	if e.unsure() {
		return fmt.Sprintf("Error sending events: lines %d to %d: %v", e.line, e.last, e.err)
	}
	return fmt.Sprintf("Error sending events: line %d: %v", e.line, e.err)
}

func (e *lineError) Unwrap() error { return e.err }

// publish publishes what in has, of which size is the number of bytes or 0.
func (p *publishing) publish(ctx context.Context, client *opsClient, in io.Reader, size int) (all api.BatchReport, err error) {
	requests := make(chan *request)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.read(ctx, in, requests) // so that an interrupt need not wait for a line
	next, done := 1, 0
	for {
		var r *request
		select {
		case r = <-requests:
		case <-ctx.Done():
			return all, &lineError{line: next, err: errors.New("interrupted")}
		}
		if len(r.at) > 0 {
			err := client.batch(ctx, r, &all)
			done += r.read
			p.bar.show(step{text: count(all.Taken, "event") + " published", events: all.Taken, done: min(done, size), of: size}, time.Now())
			if err != nil {
				return all, err
			}
		}
		if next = r.next; r.err == io.EOF {
			return all, nil
		} else if r.err != nil {
			return all, &lineError{line: next, err: r.err}
		}
	}
}

// request is what is sent at a time.
type request struct {
	body []byte
	at   []int // the number of each line in the body
	read int   // bytes
	next int   // the number of the line behind
	err  error // why nothing more is read; io.EOF at the end
}

// read reads all requests. What has come is sent before more is waited for.
func (p *publishing) read(ctx context.Context, in io.Reader, into chan<- *request) {
	lines := bufio.NewReaderSize(in, requestBytes)
	for next, err := 1, error(nil); err == nil; {
		r := &request{next: next}
		for len(r.at) < requestLines && len(r.body) < requestBytes && (len(r.at) == 0 || ready(lines)) {
			var line []byte
			if line, err = readLine(lines); len(line) > 0 && (err == nil || err == io.EOF) {
				r.read += len(line)
				if line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")); len(line) > 0 {
					r.body = append(p.event(r.body, line), '\n')
					r.at = append(r.at, r.next)
				}
				r.next++
			}
			if err != nil {
				break
			}
		}
		next, r.err = r.next, err
		select {
		case into <- r:
		case <-ctx.Done():
			return
		}
	}
}

func ready(in *bufio.Reader) bool {
	buffered, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(buffered, '\n') >= 0
}

// readLine reads a line with its end, which the last one may lack.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line) == 0 && err == nil {
			return part, nil
		}
		if line = append(line, part...); len(line) > api.MaxRequest {
			return nil, fmt.Errorf("it is larger than %d bytes", api.MaxRequest)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// event appends a line's event to a body.
func (p *publishing) event(body, line []byte) []byte {
	if p.name == "" {
		return append(body, line...)
	}
	e := api.PublishRequest{Name: p.name, Coalesce: p.coalesce}
	if utf8.Valid(line) {
		e.Payload = string(line)
	} else {
		e.PayloadBase64 = line
	}
	text, err := json.Marshal(&e)
	if err != nil {
		panic(err) // it has nothing that cannot be written
	}
	return append(body, text...)
}

// batch publishes a request's events, and adds what the agent has taken of them.
func (c *opsClient) batch(ctx context.Context, r *request, all *api.BatchReport) error {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	unsure := func(err error) error { return &lineError{line: r.at[0], last: r.at[len(r.at)-1], err: err} }
	resp, err := c.send(ctx, http.MethodPost, "/v1/events", api.ContentBatch, r.body)
	if e, ok := errors.AsType[*unanswered](err); ok && !e.sent {
		return &lineError{line: r.at[0], err: err}
	}
	if err != nil {
		return unsure(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxOpsAnswer))
	if err != nil {
		return unsure(c.decoded(err))
	}
	var report api.BatchReport
	well := resp.StatusCode/100 == 2
	if err := json.Unmarshal(data, &report); err != nil || well == (report.Error != "") {
		return &lineError{line: r.at[0], err: c.stranger(resp, "/v1/events")}
	}
	all.Taken += report.Taken
	if all.FirstID == "" {
		all.FirstID = report.FirstID
	}
	if report.LastID != "" {
		all.LastID = report.LastID
	}
	if report.Warning != "" {
		all.Unreached, all.Warning = report.Unreached, report.Warning
	}
	if well {
		return nil
	}
	// An answer without a line is to the whole request, which was not begun.
	return &lineError{line: r.at[min(max(report.Line, 1), len(r.at))-1], err: errors.New(printable([]byte(report.Error), 1000))}
}
