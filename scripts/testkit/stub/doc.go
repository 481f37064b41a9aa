// Package stub stands in for a gateway. It notes each request, and answers, hangs,
// refuses connections or dies as the test says.
package stub
