// Package target is the local endpoint of a gateway. It says where events go and
// how the requests look, and makes one attempt to post an event. It keeps no events
// and tries nothing again; package delivery does.
//
// A [Target] is the configuration, and a [Preset] is a Target for one kind of
// gateway, less the address. [Target.Validate] reports everything that is wrong
// with a target at once, and never repeats a password. [NewPoster] compiles a
// valid target, its templates included, into a [Poster].
//
// # The request
//
// Unless the target says otherwise, the body of a user event or query is its
// payload, byte for byte. The body of a member event is Kong's JSON, see
// [handler.Event.Body]. The headers are Content-Type: application/json,
// User-Agent, X-Serf-Event with the type, and X-Serf-Event-Id. User events and
// queries also have X-Serf-Event-Name and X-Serf-Event-Ltime. The ID is the same
// for each repeat of an event, so a gateway can tell repeats apart.
//
// Strangers choose the names of events. A header has %XX in place of "%", of blanks
// at either end and of all bytes that are not printable ASCII. A value longer than
// 1,024 bytes is cut.
//
// Method, path, query, headers and body may be templates, see package template.
// Scheme, host and the names of headers are the same for all events. If an event
// does not fit a template, the attempt fails for good and nothing is sent.
//
// # Answers
//
// The status and the header are the answer. A body that breaks off, or has no end,
// changes nothing about that.
//
// An answer of 2xx means that the target has taken the event. No answer, 408, 425, 429
// and 5xx mean that another attempt may do: the [PostError] has the class [Retry]. All
// other answers are final and have the class [Bury]. A target can name codes that mean
// something else to it. Only 2xx ends a flush: done codes speak of single events, and a
// wrong URL must not pass for a flush.
//
// A Retry-After of more than 5 minutes counts as 5 minutes, so that a mistake of the
// gateway costs no more than that.
//
// # Blocking and repeats
//
// An attempt ends when the target answers, its timeout passes, or the context ends. It
// takes at most 64 KiB of an answer's header. It reads at most 64 KiB of the body, and
// keeps 4 KiB, without the target's credentials. If the body takes longer than 50 ms, it is given up, and its connection
// is closed. Only the answer to a query may take the whole timeout, as its body counts.
//
// A Poster follows no redirect and uses no HTTP proxy, because the gateway is on this
// node.
//
// A Poster keeps its connections. If the target closes a kept connection without a
// byte of an answer, the Poster sends the request again at once over another. That
// is no failure, but the target may get the event twice.
//
// # Order
//
// With more than one event in flight, an [OrderKey] tells which events must keep
// their order among themselves. Two events with different keys may get the same
// number by chance. That costs a wait, and never the order.
package target
