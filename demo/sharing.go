package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

const (
	steps = "omh:step-count"
	sleep = "omh:sleep-duration"
)

// letIn is what an owner lets somebody do: see steps, and nothing else, for an hour.
type letIn struct {
	Types   []string `json:"types"`
	Access  []string `json:"access"`
	Purpose string   `json:"purpose"`
	Until   string   `json:"until"`
}

func (d *demo) letIn(purpose string) letIn {
	return letIn{[]string{steps}, []string{"read"}, purpose, d.now().Add(time.Hour).UTC().Format(time.RFC3339)}
}

// prepare has everybody agree to what the rest needs, and takes back what a run that
// was stopped has left.
func (d *demo) prepare(ctx context.Context) error {
	d.heading("Before others are let in")
	return d.steps(ctx, step{"consents", d.consentToShare}, step{"left over", d.leftOver})
}

// showCaregiver lets ben see ada's steps by an invitation, and has him try the rest.
func (d *demo) showCaregiver(ctx context.Context) error {
	d.heading("A caregiver: " + caregiver + " is to see " + owner + "'s steps, and not her sleep")
	return d.steps(ctx,
		step{"before", func(ctx context.Context) (string, error) {
			return caregiver + " asks for her steps: " + told(fault.NotFound), d.shut(ctx, d.caregiver, d.user, fault.NotFound, steps)
		}},
		step{"invited", d.invite},
		step{"sees steps", func(ctx context.Context) (string, error) { return d.seesSteps(ctx, d.caregiver, d.user) }},
		step{"not sleep", func(ctx context.Context) (string, error) {
			return "sleep: " + told(fault.Forbidden), d.shut(ctx, d.caregiver, d.user, fault.Forbidden, sleep)
		}},
	)
}

// consentToShare is ada's, and ben's to collection: an invitation is taken by who has
// an account. Both stay, as the first consent does.
func (d *demo) consentToShare(ctx context.Context) (string, error) {
	given := map[string]any{"version": "1", "given": true}
	var hers, his struct {
		User  string `json:"user"`
		Given bool   `json:"given"`
	}
	if err := d.api.send(ctx, http.MethodPut, "/users/me/consents/sharing", given, &hers); err != nil {
		return "", err
	}
	if err := d.caregiver.send(ctx, http.MethodPut, "/users/me/consents/collection", given, &his); err != nil {
		return "", err
	}
	if !hers.Given || !his.Given || his.User == "" || his.User == d.user {
		return "", unexpected("consent was not kept")
	}
	d.known[his.User] = caregiver
	return owner + "'s to share, given; " + caregiver + " has an account", nil
}

func (d *demo) invite(ctx context.Context) (string, error) {
	var made, accepted struct{ ID, Code, Owner string }
	if err := d.api.send(ctx, http.MethodPost, "/users/me/grants", d.letIn("family"), &made); err != nil {
		return "", err
	}
	d.grant = made.ID
	if err := d.caregiver.send(ctx, http.MethodPost, "/invitations/"+url.PathEscape(made.Code)+"/accept", struct{}{}, &accepted); err != nil {
		return "", err
	}
	if accepted.ID != d.grant || accepted.Owner != d.user {
		return "", unexpected("another grant was accepted")
	}
	return "for steps, reading, an hour; " + caregiver + " accepts with the code", nil
}

// readingsOf is the question for one type of data.
func readingsOf(user, of string) string {
	return "/users/" + url.PathEscape(user) + "/readings?" + url.Values{"type": {of}}.Encode()
}

// shut requires that somebody is refused one type of a user's data.
func (d *demo) shut(ctx context.Context, a *api, user string, kind fault.Kind, of string) error {
	return a.mustRefuse(ctx, kind, http.MethodGet, readingsOf(user, of), nil, nil)
}

// seesSteps has somebody read the steps that ada has sent, and compares.
func (d *demo) seesSteps(ctx context.Context, a *api, user string) (string, error) {
	var sent []reading.Reading
	for _, r := range append(append([]reading.Reading{}, d.signed...), d.sent...) {
		if r.Type.String() == steps {
			sent = append(sent, r)
		}
	}
	back, _, err := d.readBack(ctx, a, user, sent)
	return fmt.Sprintf("%d counts, equal to what %s sent", len(back), owner), err
}

// showApp has another company's app sign ada in, and lets it see her steps.
func (d *demo) showApp(ctx context.Context) error {
	d.heading("Another app, by code + PKCE; an HTTP client plays the browser at the hosted sign-in page")
	return d.steps(ctx,
		step{"signed in", d.signInWithApp},
		step{"before", func(ctx context.Context) (string, error) {
			return "it asks for her steps with her token: " + told(fault.Forbidden), d.shut(ctx, d.app, "me", fault.Forbidden, steps)
		}},
		step{"let in", func(ctx context.Context) (string, error) {
			return "for steps, reading, an hour", d.api.send(ctx, http.MethodPut, d.appPath(), d.letIn("training"), nil)
		}},
		step{"sees steps", func(ctx context.Context) (string, error) { return d.seesSteps(ctx, d.app, "me") }},
		step{"not sleep", func(ctx context.Context) (string, error) {
			return "sleep: " + told(fault.Forbidden), d.shut(ctx, d.app, "me", fault.Forbidden, sleep)
		}},
	)
}

func (d *demo) appPath() string {
	return "/users/me/apps/" + url.PathEscape(d.stack.Clients[anotherApp].ID)
}

// showWithdrawal takes everything back, and has each try once more at once, with the
// same token: no answer that was given before is kept anywhere.
func (d *demo) showWithdrawal(ctx context.Context) error {
	d.heading("Withdrawn: the door is closed from the next request on")
	return d.steps(ctx,
		step{"grant withdrawn", func(ctx context.Context) (string, error) {
			if err := d.api.send(ctx, http.MethodDelete, "/users/me/grants/"+url.PathEscape(d.grant), nil, nil); err != nil {
				return "", err
			}
			return caregiver + " asks for steps again: " + told(fault.NotFound), d.shut(ctx, d.caregiver, d.user, fault.NotFound, steps)
		}},
		step{"app withdrawn", func(ctx context.Context) (string, error) {
			if err := d.api.send(ctx, http.MethodDelete, d.appPath(), nil, nil); err != nil {
				return "", err
			}
			return "it asks for steps again: " + told(fault.Forbidden), d.shut(ctx, d.app, "me", fault.Forbidden, steps)
		}},
		step{"app's session ended", d.endSessions},
		step{"tracker unpaired", d.unpair},
	)
}

// endSessions ends the sign-ins by the other app: its token is nobody's from then on.
func (d *demo) endSessions(ctx context.Context) (string, error) {
	var list struct{ Items []struct{ ID, Client string } }
	if err := d.api.send(ctx, http.MethodGet, "/users/me/sessions", nil, &list); err != nil {
		return "", err
	}
	for _, s := range list.Items {
		if s.Client != d.stack.Clients[anotherApp].ID {
			continue
		}
		if err := d.api.send(ctx, http.MethodDelete, "/users/me/sessions/"+url.PathEscape(s.ID), nil, nil); err != nil {
			return "", err
		}
	}
	return "its token, not expired yet: " + told(fault.Unauthenticated), d.shut(ctx, d.app, "me", fault.Unauthenticated, steps)
}

// leftOver takes back what a run that was stopped has let in: what is open already
// could not be seen to open.
func (d *demo) leftOver(ctx context.Context) (string, error) {
	n, err := d.oldTrackers(ctx)
	if err != nil {
		return "", err
	}
	var grants struct {
		Items []struct{ ID, User, Purpose string }
	}
	if err := d.api.send(ctx, http.MethodGet, "/users/me/grants", nil, &grants); err != nil {
		return "", err
	}
	for _, g := range grants.Items {
		// All of ben's: one that stays open would let him see what he is to be refused.
		if d.known[g.User] == caregiver || g.ID == d.grant {
			if err := d.api.send(ctx, http.MethodDelete, "/users/me/grants/"+url.PathEscape(g.ID), nil, nil); err != nil {
				return "", err
			}
			n++
		}
	}
	var apps struct{ Items []struct{ Client string } }
	if err := d.api.send(ctx, http.MethodGet, "/users/me/apps", nil, &apps); err != nil {
		return "", err
	}
	for _, a := range apps.Items {
		if a.Client == d.stack.Clients[anotherApp].ID {
			if err := d.api.send(ctx, http.MethodDelete, d.appPath(), nil, nil); err != nil {
				return "", err
			}
			n++
		}
	}
	if n == 0 {
		return "nothing of an earlier run", nil
	}
	return fmt.Sprintf("%d of an earlier run, taken back", n), nil
}
