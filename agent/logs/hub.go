package logs

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

const (
	// recent is how many lines a new subscriber is given first, as in serf.
	recent = 512
	// queued is how many lines may wait for a slow output.
	queued = 8192
)

// Config says where a [Hub] writes and what.
type Config struct {
	Out    io.Writer  // required; written by one goroutine
	Format string     // "text" (the default), "json", or "serf" for the lines of a serf agent
	Level  slog.Level // the least level that Out gets; subscribers get all
	// Syslog gets what Out gets, if it is not nil: as "[LEVEL] text", or with the format
	// "serf" without the level, as serf does it. One goroutine calls it.
	Syslog func(level slog.Level, text string)
}

// Hub collects log lines. Use [New]. Its methods are safe for concurrent use
// and, except Close, never wait for an output.
type Hub struct {
	level  slog.LevelVar
	out    slog.Handler // formats into pending
	serf   bool         // format as serf does, and not by out
	syslog func(slog.Level, string)
	queue  chan line
	lost   atomic.Uint64
	done   chan struct{}

	wanted slog.LevelVar // the least level of the subscribers; changes under mu

	mu      sync.Mutex
	ring    [recent]entry
	next    int // where the next entry goes; entries before it are newer
	subs    map[int]subscriber
	lastSub int
	closed  bool
}

// unwanted is above all levels, for a hub without subscribers.
const unwanted = slog.Level(math.MaxInt)

type subscriber struct {
	level slog.Level
	fn    func(string)
}

// line is one formatted line on its way to the output.
type line struct {
	out    []byte
	level  slog.Level
	syslog string
}

// entry is a line as it is kept for subscribers, formatted only when wanted.
type entry struct {
	time  time.Time
	level slog.Level
	text  string       // of a line from serf
	rec   *slog.Record // of one of ours
	attrs []slog.Attr  // of its logger
	group string       // of its logger, with a dot at the end, or ""
	serf  *wording     // of rec, where serf's words are wanted and known
}

// New returns a Hub; Close it to have the last lines written.
func New(cfg Config) *Hub {
	h := &Hub{
		syslog: cfg.Syslog,
		queue:  make(chan line, queued),
		done:   make(chan struct{}),
		subs:   map[int]subscriber{},
	}
	h.wanted.Set(unwanted)
	h.level.Set(cfg.Level)
	h.serf = cfg.Format == "serf"
	h.out = newFormat(cfg.Format, sink{h})
	go h.write(cfg.Out, newFormat(cfg.Format, cfg.Out))
	return h
}

func newFormat(format string, w io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: LevelTrace, ReplaceAttr: replace}
	if format == "json" {
		return slog.NewJSONHandler(escaping{w}, opts)
	}
	return slog.NewTextHandler(w, opts)
}

// escaping is for JSON: slog escapes less there than in its text.
type escaping struct{ w io.Writer }

func (e escaping) Write(p []byte) (int, error) {
	_, err := io.WriteString(e.w, EscapeJSON(string(p)))
	return len(p), err
}

// replace writes levels by serf's names and times to the millisecond.
func replace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return withoutSerfs(a)
	}
	switch a.Key {
	case slog.LevelKey:
		if l, ok := a.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, levelName(l))
		}
	case slog.TimeKey:
		if a.Value.Kind() == slog.KindTime {
			return slog.String(slog.TimeKey, a.Value.Time().Format("2006-01-02T15:04:05.000Z07:00"))
		}
	}
	return withoutSerfs(a)
}

// SetLevel changes the least level that the output gets.
func (h *Hub) SetLevel(l slog.Level) { h.level.Set(l) }

// Lost is how many lines the output did not take in time.
func (h *Hub) Lost() uint64 { return h.lost.Load() }

// Logger returns a logger that writes to the hub.
func (h *Hub) Logger() *slog.Logger { return slog.New(&logHandler{hub: h, out: h.out}) }

// LiveLogger returns a logger for lines that may come by the thousand, such as
// one for each delivery. It is enabled below INFO only while the output or a
// subscriber wants lines of that level. Otherwise such a line costs nothing if
// the caller asks Enabled first, and it takes no other line's place among the
// recent ones. From INFO on it does what [Hub.Logger] does.
func (h *Hub) LiveLogger() *slog.Logger {
	return slog.New(&logHandler{hub: h, out: h.out, live: true})
}

// wants tells whether the output or a subscriber wants lines of a level.
func (h *Hub) wants(l slog.Level) bool { return l >= h.level.Level() || l >= h.wanted.Level() }

// StdLogger returns a logger for serf, memberlist and other packages that
// write lines with a level in brackets.
func (h *Hub) StdLogger() *log.Logger { return log.New(lineWriter{h}, "", 0) }

// Subscribe calls fn with the recent lines and then with each new one, one at
// a time and in order, as serf's monitor shows them, without a newline. The
// subscriber wants lines from level on: fn has to leave out others itself, and
// of a [Hub.LiveLogger] gets them from now on, as they were not made before. fn
// must not block and must not log. After cancel has returned fn is not called.
func (h *Hub) Subscribe(level slog.Level, fn func(line string)) (cancel func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range recent {
		if e := &h.ring[(h.next+i)%recent]; !e.time.IsZero() {
			fn(e.format())
		}
	}
	h.lastSub++
	id := h.lastSub
	h.subs[id] = subscriber{level, fn}
	h.subscribed()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, id)
		h.subscribed()
	}
}

// subscribed sets what the subscribers want; mu is held.
func (h *Hub) subscribed() {
	least := unwanted
	for _, s := range h.subs {
		least = min(least, s.level)
	}
	h.wanted.Set(least)
}

// Close writes what is queued, waiting at most five seconds for the output.
// Lines that come later are dropped.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.queue) // senders hold mu and look at closed
	}
	h.mu.Unlock()
	select {
	case <-h.done:
	case <-time.After(5 * time.Second):
	}
}

// keep stores e for later subscribers and tells the present ones.
func (h *Hub) keep(e entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring[h.next] = e
	h.next = (h.next + 1) % recent
	if len(h.subs) == 0 {
		return
	}
	line := e.format()
	for _, s := range h.subs {
		s.fn(line)
	}
}

// send queues l for the output or counts it as lost.
func (h *Hub) send(l line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	select {
	case h.queue <- l:
	default:
		h.lost.Add(1)
	}
}

// write is the goroutine that owns the output; direct formats into it. Lines
// are lost only while others wait, so a loss is always told ahead of those.
func (h *Hub) write(out io.Writer, direct slog.Handler) {
	defer close(h.done)
	var told uint64
	for l := range h.queue {
		if n := h.lost.Load(); n > told {
			rec := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines lost: the log output did not take them in time", 0)
			rec.AddAttrs(slog.Uint64("lines", n-told))
			direct.Handle(context.Background(), rec) // there is nowhere left to report it
			told = n
		}
		if l.out != nil {
			out.Write(l.out) // there is nowhere left to report it
		}
		if l.syslog != "" {
			h.syslog(l.level, l.syslog)
		}
	}
}

// sink is what the slog handlers format into.
type sink struct{ h *Hub }

func (s sink) Write(p []byte) (int, error) {
	s.h.send(line{out: bytes.Clone(p)})
	return len(p), nil
}

// lineWriter takes lines from a log.Logger.
type lineWriter struct{ h *Hub }

func (w lineWriter) Write(p []byte) (int, error) {
	text := oneLine(strings.TrimRight(string(p), "\n"))
	level, component, msg := splitLine(text)
	e := entry{time: time.Now(), level: level, text: text}
	w.h.keep(e)
	if level < w.h.level.Level() {
		return len(p), nil
	}
	rec := slog.NewRecord(e.time, level, msg, 0)
	if component != "" {
		rec.AddAttrs(slog.String("component", component))
	}
	w.h.print(w.h.out, &e, rec) // sink does not fail
	switch bare, hasLevel := cutLevel(text); {
	case w.h.serf:
		w.h.toSyslog(level, bare)
	case hasLevel:
		w.h.toSyslog(level, text)
	default:
		w.h.toSyslog(level, "["+levelName(level)+"] "+text)
	}
	return len(p), nil
}

// print writes a line in the form that was configured; out formats the record.
func (h *Hub) print(out slog.Handler, e *entry, rec slog.Record) error {
	if h.serf {
		h.send(line{out: []byte("    " + e.format() + "\n")})
		return nil
	}
	return out.Handle(context.Background(), rec)
}

// oneLine escapes what is not printable inside a line, but for tabs: it may
// hold an event's name, and whoever sends events must not be able to write log
// lines of his own, to turn the direction of writing round, or to command the
// terminal of who reads them.
func oneLine(s string) string {
	strange := func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }
	if strings.IndexFunc(s, strange) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strange(r) {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// toSyslog passes a line to syslog, where there is one.
func (h *Hub) toSyslog(level slog.Level, text string) {
	if h.syslog != nil {
		h.send(line{level: level, syslog: text})
	}
}
