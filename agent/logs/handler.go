package logs

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
)

// logHandler is the slog.Handler of [Hub.Logger] and [Hub.LiveLogger]. It is
// enabled at every level, since a later subscriber may want more of the recent
// lines than the output gets; unless it is live.
type logHandler struct {
	hub   *Hub
	out   slog.Handler
	attrs []slog.Attr
	group string
	live  bool
}

func (l *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return !l.live || level >= slog.LevelInfo || l.hub.wants(level)
}

func (l *logHandler) Handle(_ context.Context, rec slog.Record) error {
	kept := rec.Clone()
	e := entry{time: rec.Time, level: rec.Level, rec: &kept, attrs: l.attrs, group: l.group}
	if l.hub.serf {
		if w, ok := serfWords[rec.Message]; ok && w.format == "" {
			return nil
		} else if ok {
			e.level, e.serf = w.level, &w
		}
	}
	l.hub.keep(e)
	if e.level < l.hub.level.Level() {
		return nil
	}
	if l.hub.syslog != nil {
		if l.hub.serf {
			l.hub.toSyslog(e.level, e.said())
		} else {
			l.hub.toSyslog(e.level, "["+levelName(e.level)+"] "+e.message())
		}
	}
	return l.hub.print(l.out, &e, rec)
}

func (l *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *l
	c.out = l.out.WithAttrs(attrs)
	c.attrs = slices.Clone(l.attrs)
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: l.group + a.Key, Value: a.Value})
	}
	return &c
}

func (l *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return l // as slog.Handler asks
	}
	c := *l
	c.out = l.out.WithGroup(name)
	c.group = l.group + name + "."
	return &c
}

// format gives the line as serf's monitor shows it:
// "2026/11/23 10:00:00 [INFO] serf: text".
func (e *entry) format() string {
	stamp := e.time.Format("2006/01/02 15:04:05 ")
	if e.rec == nil {
		return stamp + e.text
	}
	return stamp + "[" + levelName(e.level) + "] " + e.said()
}

// said is what one of our records says to who knows serf: in serf's words, if they are
// wanted and known, and otherwise in ours.
func (e *entry) said() string {
	if e.serf != nil {
		if text, ok := e.serf.say(e.rec, e.attrs); ok {
			return text
		}
	}
	return "agent: " + e.message()
}

// message is the text of one of our records with its attributes, on one line.
func (e *entry) message() string {
	var b bytes.Buffer
	var text slog.Handler = slog.NewTextHandler(&b, &slog.HandlerOptions{
		Level: LevelTrace,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return withoutSerfs(a)
		},
	}).WithAttrs(e.attrs)
	if e.group != "" {
		text = text.WithGroup(strings.TrimSuffix(e.group, "."))
	}
	text.Handle(context.Background(), *e.rec) // a buffer does not fail
	msg, attrs := oneLine(e.rec.Message), strings.TrimSpace(b.String())
	if attrs == "" {
		return msg
	}
	return msg + ": " + attrs
}
