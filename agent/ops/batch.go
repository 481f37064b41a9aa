package ops

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/publish"
)

const (
	// chunkEvents and chunkBytes are how much of a batch is published at a time: other
	// publishes wait for so much. Three chunks at most are in memory: one that is
	// published, one that is read, and one between them.
	chunkEvents, chunkBytes = 256, 1 << 20
	// batchBuffer is what is read of a body at a time, in bytes.
	batchBuffer = 64 << 10
)

// isBatch tells whether a body is a batch. A body of any type is the payload if the query
// has a name.
func isBatch(r *http.Request) bool {
	typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return typ == api.ContentBatch && !r.URL.Query().Has("name")
}

// post answers POST /v1/events.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	if !isBatch(r) {
		answer(s.publish)(w, r)
		return
	}
	if r.URL.RawQuery != "" {
		writeError(w, errorf(http.StatusBadRequest, "a batch takes no parameters, and %q is given: each line has its own name and coalesce, and what is to be durable is published one by one", r.URL.RawQuery))
		return
	}
	leave, ok := s.batches.Enter(clientOf(r))
	if !ok {
		writeError(w, errorf(http.StatusServiceUnavailable, "too many batches are published already, %d for each address at most, and nothing of this one is: try again", api.MaxBatches))
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), api.MaxBatchTime)
	defer cancel()
	rc := http.NewResponseController(w)
	body := &patient{ctx: ctx, rc: rc, Reader: http.MaxBytesReader(nil, r.Body, api.MaxBatchBytes)}
	report, err := s.publishLines(ctx, bufio.NewReaderSize(body, batchBuffer))
	rc.SetWriteDeadline(time.Now().Add(s.http.WriteTimeout))
	if err != nil {
		report.Error = err.Error()
		io.Copy(io.Discard, body) // a client that still sends may not read the answer before
		writeJSON(w, statusOf(err), report)
		return
	}
	writeJSON(w, http.StatusAccepted, report)
}

// patient reads a body as long as it goes on: the server's limit is for short ones.
type patient struct {
	io.Reader
	ctx    context.Context // ends at its deadline
	rc     *http.ResponseController
	failed error // for good
}

func (p *patient) Read(data []byte) (n int, err error) {
	if p.failed != nil {
		return 0, p.failed
	}
	until := time.Now().Add(api.MaxBatchSilence)
	if end, ok := p.ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if p.failed = p.rc.SetReadDeadline(until); p.failed == nil {
		n, p.failed = p.Reader.Read(data)
	}
	return n, p.failed
}

// publishLines publishes the events of a batch in their order, up to the first that cannot
// be published. Its error says why, and the report says in which line it is.
func (s *Server) publishLines(ctx context.Context, body *bufio.Reader) (report *api.BatchReport, err error) {
	report = new(api.BatchReport)
	chunks := make(chan chunk, 1)
	go (&lines{in: body}).read(chunks) // beside publishing, which takes about as long
	for c := range chunks {
		if err != nil {
			continue // the reader has to come to an end, and what it reads is not published
		}
		if len(c.events) > 0 {
			ctx, cancel := context.WithTimeout(ctx, publishWait)
			sent, failed := s.cfg.PublishAll(ctx, c.events)
			cancel()
			took(report, sent)
			if failed != nil {
				report.Line, err = c.at[len(sent)], publishError(failed, publishWait)
				continue
			}
		}
		if c.err != nil && c.err != io.EOF {
			report.Line, err = c.line, c.err
		}
	}
	return report, err
}

// took adds events to a report.
func took(report *api.BatchReport, sent []publish.Sent) {
	for i := range sent {
		e := &sent[i]
		if report.Taken++; report.Taken <= api.MaxBatchIDs {
			report.IDs = append(report.IDs, e.ID())
		}
		if report.Taken == 1 {
			report.FirstID = report.IDs[0]
		}
		if e.Warning != "" {
			report.Unreached, report.Warning = e.Unreached, e.Warning
		}
	}
	if len(sent) > 0 {
		report.LastID = sent[len(sent)-1].ID()
	}
	if report.Taken > api.MaxBatchIDs {
		report.IDs = nil
	}
}

// chunk is a part of a batch.
type chunk struct {
	events []publish.Event
	at     []int // the number of the line of each
	err    error // why there is none behind it: io.EOF if the batch is at its end
	line   int   // of err
}

// lines reads the lines of a batch.
type lines struct {
	in     *bufio.Reader
	line   int    // number of the last one
	events int    // in them
	long   []byte // a line that is longer than the reader's buffer
	text   []byte // of a line, without its escapes
}

// read reads all chunks, and closes the channel behind the last.
func (l *lines) read(into chan<- chunk) {
	defer close(into)
	for {
		c := l.chunk()
		c.line = l.line
		into <- c
		if c.err != nil {
			return
		}
	}
}

// chunk reads what has come, and waits for a line at least.
func (l *lines) chunk() (c chunk) {
	for size := 0; len(c.events) < chunkEvents && size < chunkBytes; {
		if len(c.events) > 0 && !l.ready() {
			return c
		}
		var line []byte
		if line, c.err = l.next(); c.err != nil {
			return c
		}
		if len(line) == 0 {
			continue
		}
		event, ok := quickEvent(line, &l.text)
		if !ok {
			if event, c.err = eventOf(line); c.err != nil {
				return c
			}
		}
		if l.events++; l.events > api.MaxBatchEvents {
			c.err = errorf(http.StatusRequestEntityTooLarge, "a batch has at most %d events: send this line and those behind it as another batch", api.MaxBatchEvents)
			return c
		}
		size += len(line)
		c.events, c.at = append(c.events, event), append(c.at, l.line)
	}
	return c
}

// ready tells whether there is a line that need not be waited for.
func (l *lines) ready() bool {
	buffered, _ := l.in.Peek(l.in.Buffered())
	return bytes.IndexByte(buffered, '\n') >= 0
}

// next is the next line, without spaces around it. It is good until the next call. The
// last line may lack its end.
func (l *lines) next() ([]byte, error) {
	l.line++
	line, err := l.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.long = append(l.long[:0], line...)
		for err == bufio.ErrBufferFull && len(l.long) <= api.MaxRequest {
			line, err = l.in.ReadSlice('\n')
			l.long = append(l.long, line...)
		}
		line = l.long
	}
	if line = bytes.TrimSpace(line); len(line) > api.MaxRequest {
		return nil, errorf(http.StatusRequestEntityTooLarge, "the line is larger than %d bytes", api.MaxRequest)
	}
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case err == nil, err == io.EOF && len(line) > 0:
		return line, nil
	case err == io.EOF:
		return nil, err
	case tooLarge:
		return nil, errorf(http.StatusRequestEntityTooLarge, "a batch has at most %d bytes: send this line and those behind it as another batch", api.MaxBatchBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errorf(http.StatusRequestTimeout, "nothing came for %v, or the batch took longer than %v: send this line and those behind it as another batch", api.MaxBatchSilence, api.MaxBatchTime)
	}
	return nil, errorf(http.StatusBadRequest, "the body did not come whole: %v", err)
}

func eventOf(line []byte) (publish.Event, error) {
	var event api.PublishRequest
	err := decodeStrictly(line, &event)
	if err == nil {
		err = complete(&event)
	}
	if err != nil {
		return publish.Event{}, errorf(http.StatusBadRequest, "the line is not as it should be: %v", err)
	}
	return publish.Event{Name: event.Name, Payload: payloadOf(&event), Coalesce: event.Coalesce}, nil
}
