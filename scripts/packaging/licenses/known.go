package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// known are the licences that parts of a release may have, by their SPDX identifiers. A
// pattern is for the words of a text, in lower case and without marks. It has a short
// licence in full. Of a long one it has the beginning and the end, and the sums are the
// SHA-256 of the whole, for each form that is in use.
var known = []struct {
	id      string
	pattern *regexp.Regexp
	sums    []string // none: the pattern is enough
}{
	{"MIT", regexp.MustCompile(`permission is hereby granted free of charge to any person obtaining a copy of this ` +
		`software and associated documentation files the software to deal in the software without restriction including ` +
		`without limitation the rights to use copy modify merge publish distribute sublicense and or sell copies of the ` +
		`software and to permit persons to whom the software is furnished to do so subject to the following conditions ` +
		`the above copyright notice and this permission notice shall be included in all copies or substantial portions ` +
		`of the software the software is provided as is without warranty of any kind express or implied including but ` +
		`not limited to the warranties of merchantability fitness for a particular purpose and noninfringement in no ` +
		`event shall the authors or copyright holders be liable for any claim damages or other liability whether in an ` +
		`action of contract tort or otherwise arising from out of or in connection with the software or the use or other ` +
		`dealings in the software`), nil},
	{"BSD-3-Clause", regexp.MustCompile(`redistribution and use in source and binary forms with or without modification ` +
		`are permitted provided that the following conditions are met (1 )?redistributions of source code must retain ` +
		`the above copyright notice this list of conditions and the following disclaimer (2 )?redistributions in binary ` +
		`form must reproduce the above copyright notice this list of conditions and the following disclaimer in the ` +
		`documentation and or other materials provided with the distribution (3 )?neither the name of (\w+ ){1,6}nor ` +
		`the names of its contributors may be used to endorse or promote products derived from this software without ` +
		`specific prior written permission this software is provided by the copyright holders and contributors as is ` +
		`and any express or implied warranties including but not limited to the implied warranties of merchantability ` +
		`and fitness for a particular purpose are disclaimed in no event shall the copyright (owner|holder) or ` +
		`contributors be liable for any direct indirect incidental special exemplary or consequential damages including ` +
		`but not limited to procurement of substitute goods or services loss of use data or profits or business ` +
		`interruption however caused and on any theory of liability whether in contract strict liability or tort ` +
		`including negligence or otherwise arising in any way out of the use of this software even if advised of the ` +
		`possibility of such damage`), nil},
	{"Apache-2.0", regexp.MustCompile(`terms and conditions for use reproduction and distribution 1 definitions .* end of terms ` +
		`and conditions`), []string{
		"d8221a4f10c01c6fa5390685929a5ce31d7264a024162fd3dd4d805c57ce0f43",
		"c318c6dd8938a4b72c9b6d338c6ca0a55c30bec1a41ea4b6e97794b36b717eaf", // with no letters before the conditions of redistribution
	}},
	{"MPL-2.0", regexp.MustCompile(`mozilla public license version 2 0 1 definitions .* this source code form is incompatible ` +
		`with secondary licenses as defined by the mozilla public license v 2 0`), []string{
		"f82071285728ca3ec7685ee9bc4acdae0b8267142a4d20b8f1805eabedb4a98a",
	}},
}

// appendix is what may follow Apache's licence, as an advice.
var appendix = regexp.MustCompile(`appendix how to apply the apache license to your work (\w+ ){150,170}limitations under the license`)

// rest is the number of words that a file may have beside its licences: titles, whose
// copyright it is, and where the code is from. Conditions take more. Each further licence
// may have restMore, since it says which files it is for.
const rest, restMore = 50, 10

var marks = regexp.MustCompile(`[^a-z0-9]+`)

// identify returns the SPDX identifiers of the licences in a text, sorted. It fails if
// there is none that is known, or more than licences.
func identify(text string) ([]string, error) {
	left := marks.ReplaceAllString(strings.ToLower(text), " ")
	var ids []string
	for _, k := range known {
		left = k.pattern.ReplaceAllStringFunc(left, func(match string) string {
			if k.sums != nil && !slices.Contains(k.sums, fmt.Sprintf("%x", sha256.Sum256([]byte(match)))) {
				return match
			}
			ids = append(ids, k.id)
			return " "
		})
	}
	left = appendix.ReplaceAllString(left, " ")
	if len(ids) == 0 {
		return nil, errors.New("this licence is not known: if its terms allow a release, add it to scripts/packaging/licenses/known.go")
	}
	if n := len(strings.Fields(left)); n > rest+restMore*(len(ids)-1) {
		return nil, fmt.Errorf("%v, and %d words beside: if they allow a release, add them to scripts/packaging/licenses/known.go", ids, n)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
