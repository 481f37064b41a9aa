// Package http1 makes HTTP/1.1 requests to one server, many small ones after each other.
// Each is made on the goroutine of its caller. Connections are kept.
//
// The Transport of net/http has two goroutines for each connection, and hands every
// request and every answer from one to another. Waking them costs more than the request
// itself. Here nothing is handed over. The price is what a goroutine per connection
// would notice at once: that a server has closed an idle connection is noticed when the
// next request wants to use it.
//
// It knows what a POST to a gateway needs and no more. There are no redirects, proxies,
// cookies, compression or HTTP/2, and the body of an answer is kept only up to a size.
//
// # Answers
//
// An answer is read as RFC 9112 has it, and as strictly as net/http reads it; a fuzz
// target compares the two. Interim answers (1xx) are passed over, except 101, which ends
// the conversation. Of a header only those fields are kept that somebody asks for, see
// [Answer].
package http1
