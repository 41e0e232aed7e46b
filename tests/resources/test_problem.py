import re
from pathlib import Path

import exitway
from exitway.resources import catalogue
from exitway.resources.catalogue import AREAS, CATALOGUE
from exitway.resources.problem import Place, Problem, Problems, quoted

SOURCE = Path(exitway.__file__).parent


def test_every_code_that_is_used_stands_in_the_catalogue_and_the_other_way_round():
    used = {
        code
        for path in SOURCE.rglob("*.py")
        if path.name != "catalogue.py"
        for code in re.findall(r'"(EXW\d{4})"', path.read_text())
    }
    assert used == set(CATALOGUE)


def test_a_code_is_given_once_in_order_and_in_an_area():
    codes = re.findall(r'"(EXW\d{4})"', Path(catalogue.__file__).read_text())
    assert codes == list(CATALOGUE) == sorted(CATALOGUE)
    assert list(dict.fromkeys(code[3:5] for code in codes)) == list(AREAS)


def test_a_problem_is_one_line_with_its_place():
    problem = Problem("EXW0103", "port 99999 is out of range", field="spec.ports[0].port")
    assert str(problem) == "EXW0103 port 99999 is out of range"
    assert str(problem.at(Place("egress.yaml", 5, 14))) == "egress.yaml:5:14: EXW0103 port 99999 is out of range"
    assert str(problem.at(Place("egress.yaml"))) == "egress.yaml: EXW0103 port 99999 is out of range"
    assert str(Problems([problem, problem])) == f"{problem}\n{problem}"


def test_what_the_user_wrote_is_quoted_and_shortened():
    assert quoted('a"\n\x1bä') == '"a\\"\\n\\u001bä"'
    assert len(quoted("a" * 1000)) == 82
