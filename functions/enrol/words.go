package main

import (
	"cmp"
	"net/url"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/consent"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

// state is what stands about one purpose. Of what nothing was said, there is no
// version, time, locale or how.
type state struct {
	Purpose string `json:"purpose"`
	Given   bool   `json:"given"`
	Version string `json:"version,omitempty"`
	Time    string `json:"time,omitempty"`
	Locale  string `json:"locale,omitempty"`
	How     string `json:"how,omitempty"`

	Counts     bool   `json:"counts"`                    // given, to a text that is accepted now
	Current    string `json:"current_version,omitempty"` // that may be agreed to
	AskedAgain bool   `json:"asked_again"`               // given, to a text that is not the current one
	Until      string `json:"until,omitempty"`           // until when it counts nevertheless
}

// account is whose consents an answer is about; empty without an account.
type account struct {
	User  string       `json:"user,omitempty"`
	State access.State `json:"state,omitempty"`
}

// said is the answer about one purpose, everything the answer about all.
type (
	said struct {
		account
		state
		Text    *text  `json:"text,omitempty"`
		Receipt string `json:"receipt,omitempty"`
	}
	everything struct {
		account
		Items []state `json:"items"`
	}
)

// text is what a person is shown before he agrees.
type text struct {
	Version  string `json:"version"`
	Locale   string `json:"locale"`
	Markdown string `json:"markdown"`
	Digest   string `json:"digest"`
}

func (h handler) answer(owner access.Owner, purpose access.Purpose, shown *text, receipt string) said {
	return said{account{owner.User.String(), owner.State}, h.state(owner, purpose), shown, receipt}
}

func (h handler) state(owner access.Owner, purpose access.Purpose) state {
	c, now := owner.Consents[purpose], h.now()
	current, _ := h.texts.Current(purpose, now)
	s := state{Purpose: string(purpose), Given: c.Given, Version: c.Version, Time: moment(c.Time), Locale: c.Locale, How: c.How,
		Counts: c.Given && h.texts.Accepted(purpose, c.Version, now), Current: current.Name}
	if s.AskedAgain = c.Given && c.Version != current.Name; s.AskedAgain && s.Counts {
		v, _ := h.texts.Version(purpose, c.Version)
		s.Until = moment(v.Until)
	}
	return s
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// text finds the text that a query asks for: without a version the current one,
// without a locale the English one. An empty one is none.
func (h handler) text(purpose access.Purpose, asked url.Values) (*text, error) {
	locale, version := string(consent.English), asked.Get("version")
	if asked.Has("locale") {
		locale = asked.Get("locale")
	}
	l, ok := consent.ParseLocale(locale)
	if !ok {
		return nil, fault.New(fault.BadRequest, "locale is none that there is a text in")
	}
	if !asked.Has("version") {
		current, _ := h.texts.Current(purpose, h.now())
		version = current.Name
	}
	v, ok := h.texts.Version(purpose, version)
	if !ok || h.now().Before(v.From) {
		return nil, fault.New(fault.BadRequest, "version is none that was published")
	}
	markdown, _ := h.texts.Text(purpose, version, l)
	return &text{Version: version, Locale: string(l), Markdown: markdown, Digest: h.texts.Digest(purpose, version, l)}, nil
}

// body is what PUT takes; nil is what was left out.
type body struct {
	Version *string `json:"version"`
	Given   *bool   `json:"given"`
	Locale  *string `json:"locale"`
}

// decode reads {"version": "1", "given": true, "locale": "de"} and nothing else.
// Given is required, and so is version where it is true.
func decode(text []byte) (in body, err error) {
	if err := edge.DecodeJSON(text, &in); err != nil {
		return body{}, err
	}
	if in.Given == nil || *in.Given && in.Version == nil {
		return body{}, fault.New(fault.Invalid, "consent does not have the members asked for")
	}
	return in, nil
}

func invalid(pointer, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Text: "consent against its rules", Items: []fault.Item{{Pointer: pointer, Rule: rule}}}
}

// word is what the body says, as it will be stored. Only the current text can be
// agreed to. What is withdrawn is what stands, whatever version an app knows: to
// withdraw is as easy as to give (GDPR, article 7(3)).
func (h handler) word(c *edge.Call, purpose access.Purpose, in body) (access.Consent, error) {
	word := access.Consent{Given: *in.Given, Time: h.now().UTC(), Locale: string(consent.English), How: c.Principal.Client}
	stands := c.Owner.Consents[purpose]
	if !word.Given {
		if stands.Time.IsZero() {
			return access.Consent{}, fault.New(fault.Conflict, "no consent was given that could be withdrawn")
		}
		word.Version, word.Locale = stands.Version, cmp.Or(stands.Locale, word.Locale)
	}
	if in.Version != nil {
		current, _ := h.texts.Current(purpose, word.Time)
		if _, known := h.texts.Version(purpose, *in.Version); !known || word.Given && *in.Version != current.Name {
			return access.Consent{}, invalid("/version", "current-version")
		}
		if word.Given {
			word.Version = current.Name
		}
	}
	if in.Locale != nil {
		locale, ok := consent.ParseLocale(*in.Locale)
		if !ok {
			return access.Consent{}, invalid("/locale", "locale")
		}
		word.Locale = string(locale)
	}
	return word, nil
}
