package mcp

import (
	"context"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// A recipe is a prompt: a text that a person sends to their model by its name, with what they fill in.
type recipe struct {
	name, title, description string
	arguments                []ingredient
	// text makes the message; get returns what was filled in for an argument, or "".
	text func(get func(string) string) string
}

type ingredient struct {
	name, description string
	required          bool
}

var (
	project  = ingredient{name: "project", description: "A project to keep to, if any."}
	category = ingredient{name: "category", description: "A category to keep to, if any."}
)

// recipes are the prompts, each for one habit that makes memos useful.
func recipes() []recipe {
	return []recipe{
		{
			name: "capture_learnings", title: "Capture what was learnt",
			description: "Propose memos of what this conversation settled, for you to approve.",
			arguments:   []ingredient{{name: "focus", description: "What matters most, in a few words, if anything."}, project},
			text:        captureText,
		},
		{
			name: "recall_before_deciding", title: "Recall before deciding",
			description: "Look up what you decided and learnt about a topic before anything is decided again.",
			arguments:   []ingredient{{name: "topic", description: "What is to be decided or done.", required: true}, category, project},
			text:        recallText,
		},
		{
			name: "review_candidates", title: "Review proposals",
			description: "Go through the memos that wait for your approval: save, mend or discard each.",
			arguments:   nil,
			text:        reviewText,
		},
		{
			name: "weekly_digest", title: "Weekly digest",
			description: "Sum up what your memos of the last days say: decisions, know-how, what is open.",
			arguments:   []ingredient{{name: "days", description: "How many days to look back; 7 if left out."}, category, project},
			text:        digestText,
		},
	}
}

func (m *memos) addPrompts() {
	for _, r := range recipes() {
		options := []mcp.PromptOption{mcp.WithPromptTitle(r.title), mcp.WithPromptDescription(r.description)}
		for _, a := range r.arguments {
			about := []mcp.ArgumentOption{mcp.ArgumentDescription(a.description)}
			if a.required {
				about = append(about, mcp.RequiredArgument())
			}
			options = append(options, mcp.WithArgument(a.name, about...))
		}
		m.s.mcp.AddPrompt(mcp.NewPrompt(r.name, options...), func(ctx context.Context, request mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return r.fill(ctx, request.Params.Arguments)
		})
	}
}

// maxIngredient is how long what is filled in may be, in bytes.
const maxIngredient = 4 << 10

// fill makes the message of a recipe.
func (r recipe) fill(ctx context.Context, filled map[string]string) (*mcp.GetPromptResult, error) {
	for _, a := range r.arguments {
		value := strings.TrimSpace(filled[a.name])
		switch {
		case a.required && value == "":
			return nil, Refuse(ctx, mcp.INVALID_PARAMS, fmt.Sprintf("the argument %s is needed: %s", a.name, a.description), nil)
		case len(value) > maxIngredient:
			return nil, Refuse(ctx, mcp.INVALID_PARAMS, fmt.Sprintf("the argument %s has %d bytes, at most %d", a.name, len(value), maxIngredient), nil)
		}
	}
	text := r.text(func(name string) string { return strings.TrimSpace(filled[name]) })
	return &mcp.GetPromptResult{
		Description: r.title,
		Messages:    []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(text))},
	}, nil
}

// filters says which arguments a search takes for what was filled in.
func filters(get func(string) string) string {
	var with []string
	if c := get(category.name); c != "" {
		with = append(with, fmt.Sprintf("categories: [%s]", quoted(c)))
	}
	if p := get(project.name); p != "" {
		with = append(with, fmt.Sprintf("projects: [%s]", quoted(p)))
	}
	if len(with) == 0 {
		return ""
	}
	return " with " + strings.Join(with, " and ")
}

func captureText(get func(string) string) string {
	text := `Look back over this conversation and propose memos of what I will want again.

1. Read paput_get_capture_policy: it says what I want kept and what not, and it outranks everything below.
2. Pick what was settled and will be wanted later: a decision and its reason, a trade-off, know-how that was hard to come by, how I like to work. Leave out what the code or its history says anyway, what was only tried, and passwords, tokens or other people's private data. None is a good answer: then call paput_mark_processed_sessions and say so.
3. For each, search with paput_search_memo. If a memo says it already, leave it; if one is to be corrected, tell me which and how.
4. Propose the rest in one call of paput_add_knowledge_candidates. One idea each, a title that states it, the reason and the circumstances in the body, in the language we spoke. Take categories from paput_get_categories.
5. List the titles of what you proposed and what you left out on purpose. Save nothing yourself: I approve.`
	if focus := get("focus"); focus != "" {
		text += "\n\nWhat matters most: " + focus
	}
	if p := get("project"); p != "" {
		text += fmt.Sprintf("\n\nPut the proposals into projects: [%s].", quoted(p))
	}
	return text
}

func recallText(get func(string) string) string {
	return fmt.Sprintf(`Before we decide anything about the following, find out what I have settled already:

%s

1. Call paput_search_memo%s, two or three times with different words: the thing itself, its alternatives, the problem behind it; in Japanese as well as in English if my memos may be in either.
2. Read the promising ones in full by calling it with their ids. For one that contradicts another, or seems out of date, look at paput_get_memo_history.
3. Tell me in a few lines: what was decided and why, what was learnt, what contradicts what, and what no memo says. Name each memo by its title and date. If there is nothing, say so plainly and do not fill the gap by guessing.
4. Then give your advice. Say where it follows my memos and where it departs from them. A memo is my note of its time, not an order.`, get("topic"), filters(get))
}

func reviewText(func(string) string) string {
	return `Take me through the memos that wait for my approval.

1. Call paput_list_pending_candidates, then again with the ids to read them in full. If there are none, say so and stop.
2. Put together those that say the same. For each, search with paput_search_memo whether a memo says it already.
3. Show them to me in one numbered list: the title, one line of what it says, and your advice: save, save with a change (show it), or discard (say why). Then wait for my answer.
4. Do exactly what I answer: paput_save_pending_candidates, with my changes, for those I approve; paput_discard_pending_candidates with my reason, in my words, for those I do not. Leave alone what I did not mention.
5. If my reasons show a pattern, read paput_get_discard_policy_context and suggest one sentence for the capture policy. Call paput_update_capture_policy only when I agree.`
}

func digestText(get func(string) string) string {
	days := "7"
	if d := get("days"); d != "" {
		days = d
	}
	return fmt.Sprintf(`Sum up what my memos of the last %s days say.

1. Call paput_search_memo without a query%s, updated_after set to %s days ago in RFC 3339, page_size 100; follow next_page_token to the end.
2. Read in full, by their ids, those whose summary does not say enough.
3. Write a digest of at most a page in the language of most of them: decisions and their reasons; what was learnt; how the way of working changed; what is open or contradicts something. Group by project or category, and name each memo by its title.
4. End with at most three suggestions: memos to merge, to correct, or to gather into a note (paput_create_note). Change nothing before I say so.`, days, filters(get), days)
}
