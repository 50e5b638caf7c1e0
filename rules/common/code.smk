# Code: the digest of each script with all that it imports, a parameter of its rule.

from d3s.codedigest import code_digest, recall, remember

PARSES = Path(".snakemake/d3s_parses.json")
"""What the last run found in the scripts: parsing them all again would take a tenth of the time of a plan."""
recall(PARSES)


@cache  # jobs ask for few digests, and many of them for the same: with 42 networks that took a quarter of a plan
def code(script, *plugins):
    """The digest of a script and of what it imports: a parameter, so that editing either reruns the rule."""
    try:
        return code_digest(SCRIPTS / f"{script}.py", plugins)
    except D3SError as error:
        raise WorkflowError(str(error)) from None
